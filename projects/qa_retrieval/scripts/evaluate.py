"""How well answers are found for questions that nothing was learned from."""

from collections import defaultdict
from pathlib import Path
from typing import Dict, List

import numpy as np
import spacy
import typer
from asked import Asked, ask_all
from lexical import tfidf_scores, words_of
from measures import Measures, ranks_of, summarize
from pictures import draw_curves, draw_scores
from reranker import read_reranker
from spaces import without_common
from vectors import POOLINGS
from wasabi import msg

from spacy_elmo.formats.files import replacing
from spacy_elmo.projects.plots.style import save

Ranks = Dict[str, List[np.ndarray]]  # by method, of each training


def main(
    index: Path = typer.Argument(..., help="By build.py"),
    collection: Path = typer.Argument(..., exists=True, help="Folder by prepare.py"),
    rerankers: Path = typer.Argument(..., exists=True, help="Folder by learn.py"),
    output: Path = typer.Argument(..., help="Folder for the table and the pictures"),
    part: str = typer.Option("test", help="Of the questions: dev or test"),
    title: str = typer.Option("", help="Stands above the pictures"),
) -> None:
    """Rank all answers for each question, in many ways."""
    try:
        asked = ask_all(index, collection)
        ranks = rank(asked, rerankers, asked.of_part(part))
        table = write_table(ranks)
        with replacing(output / f"{part}.md") as temporary:
            temporary.write_text(table, encoding="utf-8")
        print(table)
        save(
            draw_scores({name: mean_of(own) for name, own in ranks.items()}, title),
            output / "scores",
        )
        save(draw_curves(ranks, title), output / "curves")
    except (ValueError, ImportError) as error:
        msg.fail("Can't evaluate", str(error), exits=1)
    msg.good(f"{output}: {part}.md, scores.png, curves.png")


def rank(asked: Asked, rerankers: Path, chosen: np.ndarray) -> Ranks:
    """RETURNS: (n_questions,) ranks of right answers, for each method and each training of it.
    RAISES ValueError: There are no re-rankers, or they are of another index."""
    questions = asked.questions(chosen)
    texts = [words_of(doc) for doc in spacy.blank("en").tokenizer.pipe(asked.index.answers)]
    ranks: Ranks = defaultdict(list)
    ranks["TF-IDF"] = [ranks_of(tfidf_scores(texts, [asked.words[i] for i in chosen]), questions)]
    ranks["BM25"] = [asked.ranks[chosen]]
    for name, space in asked.spaces.items():
        for i, pooling in enumerate(POOLINGS):
            scores = space.questions[i][chosen] @ space.answers[i].T
            ranks[f"{name}, {pooling}"] = [ranks_of(scores, questions)]
        kept = without_common(space, asked.of_part("train"))
        scores = kept.questions[chosen] @ kept.answers.T
        ranks[f"{name}, weighted, centred"] = [ranks_of(scores, questions)]
    for path in sorted(rerankers.glob("*.npz")):
        model, about = read_reranker(path)
        if about["index"] != asked.index.fingerprint:
            raise ValueError(f"{path} was trained for another index: train anew.")
        if about["space"] in asked.spaces:
            own = asked.reranked(chosen, asked.spaces[about["space"]], model)
            ranks[f"BM25, re-ranked by {about['space']}"].append(own)
    return dict(ranks)


def mean_of(trainings: List[np.ndarray]) -> Measures:
    """The measures, means of all trainings."""
    return Measures(*np.mean([summarize(ranks) for ranks in trainings], axis=0))


def write_table(ranks: Ranks) -> str:
    """RETURNS: Markdown; of several trainings the mean and the deviation of MRR."""
    lines = ["| (%) | top 1 | top 5 | MRR |", "| --- | ---: | ---: | ---: |"]
    for name, trainings in ranks.items():
        means = [f"{number:.1f}" for number in mean_of(trainings)]
        if len(trainings) > 1:
            means[2] += f" ± {np.std([summarize(own).mrr for own in trainings], ddof=1):.1f}"
        lines.append(f"| {' | '.join([name, *means])} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    typer.run(main)
