"""``python -m spacy_elmo.projects curve``: scores over the number of training texts."""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from wasabi import msg

from ..runs import SCORE_TITLES, Run, read_runs
from ..systems import TITLES
from .style import COLOURS, MARKERS, SYSTEM_STYLES, new_figure, plain, save

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def curve(
    metrics: Path = typer.Argument(..., exists=True, file_okay=False, help="Folder of scores"),
    output: Path = typer.Argument(..., help="The picture, without suffix: PNG and SVG are written"),
    score: str = typer.Option("ents_f", help="The score to draw"),
    title: str = typer.Option("", help="Stands above the picture"),
) -> None:
    """Draw how scores grow with the number of training texts."""
    try:
        figure = draw_curve(read_runs(metrics, score), score, title)
        msg.good(", ".join(map(str, save(figure, output))))
    except (ValueError, ImportError) as error:
        msg.fail("Can't draw", str(error), exits=1)


def draw_curve(runs: Sequence[Run], score: str, title: str = "") -> "Figure":
    """A line for each system: means of all seeds, and from the lowest to the highest a band."""
    figure = new_figure(7, 4.5)
    axes = figure.subplots()
    plain(axes, title)
    systems = list(dict.fromkeys(run.system for run in runs))
    others = [system for system in systems if system not in SYSTEM_STYLES]
    styles = dict(zip(others, zip(COLOURS[1:], MARKERS[3:], strict=False), strict=False))
    for system in systems:
        values: dict[int, list[float]] = {}
        for run in runs:
            if run.system == system:
                values.setdefault(run.n_texts, []).append(100 * run.scores[score])
        colour, marker = SYSTEM_STYLES.get(system) or styles.get(system, ("#888888", "x"))
        sizes = sorted(values)
        means = [statistics.mean(values[size]) for size in sizes]
        label = TITLES.get(system, system)
        axes.plot(sizes, means, color=colour, marker=marker, linewidth=1.6, label=label)
        lowest, highest = ([f(values[size]) for size in sizes] for f in (min, max))
        axes.fill_between(sizes, lowest, highest, color=colour, alpha=0.15, linewidth=0)
    sizes = sorted({run.n_texts for run in runs})
    if len(sizes) > 1:
        axes.set_xscale("log")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.minorticks_off()
    axes.set_xlabel("training texts" + (" (log scale)" if len(sizes) > 1 else ""))
    axes.set_ylabel(f"{SCORE_TITLES.get(score, score)} (%)")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, loc="lower right")
    return figure
