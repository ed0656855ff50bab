"""The pictures of an evaluation."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Dict, List

import numpy as np
from measures import Measures

from spacy_elmo.projects.plots.style import COLOURS, MARKERS, new_figure, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DEEPEST = 100  # rank that curves end at


def colour_of(method: str) -> str:
    """Of what a method goes by: words, static vectors, or ELMo."""
    if "ELMo" in method:
        return "#9cc9e3"
    return "#e8cf9a" if "GloVe" in method else "#bbbbbb"


def draw_scores(measures: Mapping[str, Measures], title: str) -> "Figure":
    """A row for each method: a bar for MRR, markers for the others."""
    figure = new_figure(8, 1.6 + 0.32 * len(measures))
    axes = figure.subplots()
    plain(axes, title)
    axes.grid(False, axis="y")
    names = list(measures)[::-1]
    values = [measures[name] for name in names]
    colours = [colour_of(name) for name in names]
    axes.barh(names, [v.mrr for v in values], color=colours, height=0.7)
    for i, measure in enumerate(("top1", "top5")):
        axes.plot(
            [getattr(v, measure) for v in values],
            names,
            linestyle="",
            marker=MARKERS[i],
            color=COLOURS[i],
            label=("a right answer comes first", "is among the first five")[i],
        )
    for place, value in enumerate(values):
        axes.text(101, place, f"{value.mrr:.1f}", va="center", fontsize=9)
    axes.set_xlim(0, 100)
    axes.margins(y=0.01)
    axes.set_xlabel("questions (%); bars are the mean of 1 / rank (MRR, in %)")
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    return figure


def draw_curves(ranks: Dict[str, List[np.ndarray]], title: str) -> "Figure":
    """How many questions have a right answer up to each rank, for the best method of each kind."""
    figure = new_figure(7, 4.5)
    axes = figure.subplots()
    plain(axes, title)
    for i, name in enumerate(best_of_kinds(ranks)):
        depths = np.arange(1, DEEPEST + 1)
        found = np.mean([[(own <= d).mean() for d in depths] for own in ranks[name]], axis=0)
        style = {"marker": MARKERS[i], "markevery": (i * 4, 25), "linewidth": 1.6}
        axes.plot(depths, 100 * found, color=COLOURS[i], label=name, **style)
    axes.set_xscale("log")
    axes.set_xticks([1, 2, 5, 10, 20, 50, 100], ["1", "2", "5", "10", "20", "50", "100"])
    axes.minorticks_off()
    axes.set_ylim(0, 100)
    axes.set_xlabel("answers that one reads (log scale)")
    axes.set_ylabel("questions with a right one among them (%)")
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    return figure


def best_of_kinds(ranks: Dict[str, List[np.ndarray]]) -> Sequence[str]:
    """The method with the highest MRR of each kind, the best first."""
    best: Dict[str, tuple[float, str]] = {}
    for name, trainings in ranks.items():
        kind = ("re-ranked" in name, colour_of(name))
        mrr = float(np.mean([(1 / own).mean() for own in trainings]))
        best[str(kind)] = max(best.get(str(kind), (-1.0, "")), (mrr, name))
    return [name for _, name in sorted(best.values(), reverse=True)]
