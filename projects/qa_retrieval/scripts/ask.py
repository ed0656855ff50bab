"""Ask an index a question."""

import textwrap
from pathlib import Path
from typing import List, Tuple

import numpy as np
import typer
from index import Index, read_index
from lexical import words_of
from reranker import CANDIDATES, read_reranker
from spaces import layer_name
from vectors import embed, load_pipeline
from wasabi import msg


def main(
    index: Path = typer.Argument(..., help="By build.py"),
    question: str = typer.Argument(..., help="In words of your own"),
    n: int = typer.Option(3, min=1, max=CANDIDATES, help="Answers to show"),
    lexical: bool = typer.Option(False, "--lexical", help="BM25 alone, without the re-ranker"),
) -> None:
    """Print the most relevant answers, the best first. The re-ranker beside the index is used if
    there is one."""
    try:
        found = ask(read_index(index), index.with_name("reranker.npz"), question, lexical)
    except ValueError as error:
        msg.fail("Can't ask", str(error), exits=1)
    if not found:
        msg.warn("No answer has a word of this question", question)
    for place, (score, answer) in enumerate(found[:n], start=1):
        msg.divider(f"{place}: {score:.2f}")
        print(textwrap.fill(answer, 88, max_lines=6, placeholder=" …"))


def ask(index: Index, reranker: Path, question: str, lexical: bool) -> List[Tuple[float, str]]:
    """RETURNS: Scores and answers, the best first.
    RAISES ValueError: The re-ranker is of another index."""
    nlp = load_pipeline(index.source)
    scores = index.score([words_of(nlp.make_doc(question))])[0]
    chosen = np.argsort(-scores, kind="stable")[:CANDIDATES]
    chosen = chosen[scores[chosen] > 0]
    own = scores[chosen]
    if len(chosen) and not lexical and reranker.exists():
        model, about = read_reranker(reranker)
        names = [layer_name(i) for i in range(len(index.vectors))]
        if about["index"] != index.fingerprint or about["space"] not in names:
            raise ValueError(f"{reranker} was trained for another index: train anew.")
        layer = names.index(about["space"])
        asked = embed([nlp(question)], index.words)[layer, 0]
        own = model.rank(asked, index.vectors[layer, 0][chosen][None], own[None])[0]
    order = np.argsort(-own, kind="stable")
    return [(float(own[i]), index.answers[chosen[i]]) for i in order]


if __name__ == "__main__":
    typer.run(main)
