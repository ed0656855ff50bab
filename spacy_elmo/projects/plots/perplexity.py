"""How the perplexity of held-out text falls while a biLM reads."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...pretraining.reports import RunLog
from .style import COLOURS, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def read_perplexities(log: Path) -> list[tuple[int, float]]:
    """Words read so far, and the held-out text's perplexity, the mean of both directions'.

    log: ``log.jsonl`` of a run of ``spacy elmo pretrain``.
    RAISES ValueError: There are none, or the file isn't the log of a run.
    """
    found = [(report.words, report.perplexity) for report in RunLog(log).read()]
    if not found:
        raise ValueError(f"{log}: there are no perplexities in it.")
    return found


def draw_perplexities(axes: "Axes", perplexities: Sequence[tuple[int, float]], title: str) -> None:
    """Draw into axes.

    axes: Empty ones.
    perplexities: As ``read_perplexities`` returns them.
    title: Stands above.
    """
    plain(axes, title)
    words, values = zip(*perplexities, strict=True)
    axes.plot([n / 1e3 for n in words], values, color=COLOURS[0], marker="o", markersize=4)
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("words read (thousands)")
    axes.set_ylabel("perplexity of held-out text")
