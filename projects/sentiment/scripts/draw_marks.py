"""The picture: a line for each text and pipeline, its words on the colour of their effect."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Tuple

from colours import shade
from occlusion import Marked
from spacy.tokens import Doc

from spacy_elmo.projects.plots.style import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH, _LINE = 9.0, 0.27  # inches, of the picture and of a line
_SIZE = 9  # points, of letters of fixed width
_LETTER = 0.6 * _SIZE / 72  # inches, the width of such a letter
_LEFT = 1.75  # inches, where texts begin


def draw_marks(
    marks: Mapping[str, Sequence[Tuple[Doc, Marked, Marked]]], names: Sequence[str], title: str
) -> "Figure":
    """marks: By the label that the first pipeline is sure of: texts, and their words as the two see
    them.
    names: Of the two pipelines."""
    n_lines = 3 + sum(1.6 + 2.5 * len(rows) for rows in marks.values())
    figure = new_figure(_WIDTH, _LINE * n_lines)
    figure.set_layout_engine("none")  # places are in inches
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, _WIDTH)
    axes.set_ylim(n_lines, 0)
    axes.text(0.15, 0.9, title, fontsize=11, va="center")
    _key(axes, 2.1)
    y = 3.4
    for label, rows in marks.items():
        axes.text(0.15, y, f"most surely {label}", fontsize=10, va="center", weight="bold")
        y += 1.2
        for doc, first, second in rows:
            true = "positive" if doc.cats["positive"] > 0.5 else "negative"
            wrong = "" if true == label else f" (truly {true})"
            for name, marked, note in zip(names, (first, second), (wrong, ""), strict=True):
                text = f"{name}: {marked.percent} %"
                axes.text(0.15, y, text, fontsize=8, va="center", color="#444444")
                _line(axes, y, marked, note)
                y += 1
            y += 0.5
        y += 0.4
    return figure


def _key(axes: "Axes", y: float) -> None:
    x = 0.15
    for effect, text in ((1.0, "speaks for positive"), (-1.0, "speaks for negative")):
        x = _word(axes, x, y, text, shade(effect, 1.0)) + 0.2
    text = (
        "the stronger, the more the log-odds change without the word;  %: how likely it is positive"
    )
    axes.text(x, y, text, fontsize=8, va="center", color="#444444")


def _line(axes: "Axes", y: float, marked: Marked, note: str) -> None:
    x = _LEFT
    full = float(abs(marked.effects).max())
    for word, space, effect in zip(marked.words, marked.spaces, marked.effects, strict=True):
        x = _word(axes, x, y, word, shade(float(effect), full)) + (0.09 if space else 0.02)
    axes.text(x + 0.1, y, note, fontsize=8, va="center", color="#444444")


def _word(axes: "Axes", x: float, y: float, word: str, colour: str) -> float:
    """RETURNS: Where it ends."""
    box = {"facecolor": colour, "edgecolor": "none", "boxstyle": "square,pad=0.15"}
    axes.text(x, y, word, fontsize=_SIZE, va="center", family="DejaVu Sans Mono", bbox=box)
    return x + _LETTER * len(word)
