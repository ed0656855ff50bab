"""Scores of pipelines as bars: one for the mean of each system, and a marker for each seed."""

import statistics
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from ..runs import SCORE_TITLES, Run
from .style import COLOURS, MARKERS, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BLUE, _GREY = "#9cc9e3", "#cccccc"


def draw_bars(
    axes: "Axes", runs: Sequence[Run], score: str, title: str, blue: Collection[str] = ()
) -> None:
    """Draw into axes, the first system at the top. Several seeds are named below the figure.

    axes: Empty ones.
    runs: Their systems are called what stands beside the bars.
    score: The score to draw, a fraction of 1 that is shown in percent.
    title: Stands above.
    blue: Systems whose bars are blue; the others' are grey.
    """
    plain(axes, title)
    axes.grid(False, axis="y")
    scores: dict[str, list[float]] = {}
    for run in runs:
        scores.setdefault(run.system, []).append(100 * run.scores[score])
    names = list(scores)[::-1]
    means = [statistics.mean(scores[name]) for name in names]
    colours = [_BLUE if name in blue else _GREY for name in names]
    bars = axes.barh(names, means, color=colours, height=0.7)
    axes.bar_label(bars, [f"{mean:.1f}" for mean in means], label_type="center")
    for seed in sorted({run.seed for run in runs}):
        own = [run for run in runs if run.seed == seed]
        axes.plot(
            [100 * run.scores[score] for run in own],
            [run.system for run in own],
            linestyle="",
            marker=MARKERS[seed % len(MARKERS)],
            color=COLOURS[seed % len(COLOURS)],
            label=f"seed {seed}",
        )
    axes.set_xlim(left=0)
    axes.set_xlabel(f"{SCORE_TITLES.get(score, score)} (%); bars are means of the seeds")
    if len({run.seed for run in runs}) > 1:
        axes.figure.legend(loc="outside lower center", ncols=5, frameon=False)
