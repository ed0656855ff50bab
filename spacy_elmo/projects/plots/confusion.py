"""``python -m spacy_elmo.projects confusion``: what a pipeline takes for what."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import spacy
import typer
from spacy.tokens import Doc
from spacy.training import Corpus
from wasabi import msg

from .style import new_figure, save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOTHING = "nothing"
Pairs = Counter[tuple[str, str]]


def confusion(
    model: Path = typer.Argument(..., exists=True, help="A trained pipeline"),
    test: Path = typer.Argument(..., exists=True, help="A .spacy file that it hasn't seen"),
    output: Path = typer.Argument(..., help="The picture, without suffix: PNG and SVG are written"),
    title: str = typer.Option("", help="Stands above the picture"),
) -> None:
    """Draw how often what has one label is given another: entities, or the texts' categories."""
    try:
        nlp = spacy.load(model)
        examples = list(Corpus(test)(nlp))
        references = [example.reference for example in examples]
        predicted = nlp.pipe(example.predicted for example in examples)
        figure = draw_confusion(count_pairs(zip(references, predicted, strict=True)), title)
        msg.good(", ".join(map(str, save(figure, output))))
    except (ValueError, ImportError) as error:
        msg.fail("Can't draw", str(error), exits=1)


def count_pairs(docs: Iterable[tuple[Doc, Doc]]) -> Pairs:
    """How often which label becomes which.

    docs: The reference and the prediction of each text, with the same tokens.
    RETURNS: Of (true, predicted) label the number of entities with the same tokens; of an entity
        that only one of the two has, the other label is ``NOTHING``. Without entities, of texts:
        the most likely category.
    RAISES ValueError: References have neither entities nor categories.
    """
    pairs: Pairs = Counter()
    for reference, prediction in docs:
        true = {(entity.start, entity.end): entity.label_ for entity in reference.ents}
        found = {(entity.start, entity.end): entity.label_ for entity in prediction.ents}
        for place in true.keys() | found.keys():
            pairs[true.get(place, NOTHING), found.get(place, NOTHING)] += 1
        if reference.cats:
            pairs[_likeliest(reference), _likeliest(prediction)] += 1
    if not any(true != NOTHING for true, _ in pairs):
        raise ValueError("The test texts have neither entities nor categories.")
    return pairs


def _likeliest(doc: Doc) -> str:
    """The category of the highest number."""
    return max(doc.cats, key=lambda name: doc.cats[name])


def draw_confusion(pairs: Pairs, title: str = "") -> "Figure":
    """A row for each true label, a column for each predicted one; colours are shares of a row."""
    labels = sorted({label for pair in pairs for label in pair} - {NOTHING})
    if any(NOTHING in pair for pair in pairs):
        labels.append(NOTHING)
    counts = np.array([[pairs[true, found] for found in labels] for true in labels])
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = 2.4 + 0.55 * len(labels)
    names = 0.05 * max(map(len, labels))  # inches; without them, the axes' titles have no room
    figure = new_figure(size + 1.2 + names, size + names)
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    if len(labels) <= 20:
        for (row, column), count in np.ndenumerate(counts):
            if labels[row] != NOTHING or labels[column] != NOTHING:
                colour = "white" if shares[row, column] > 0.5 else "black"
                axes.text(column, row, str(count), ha="center", va="center", color=colour)
    figure.colorbar(image, ax=axes, label="share of the true label", fraction=0.046)
    return figure
