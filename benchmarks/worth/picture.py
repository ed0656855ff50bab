"""The summary as one picture: what a system is worth against how fast it is."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter
from matplotlib.transforms import Bbox

# Okabe and Ito's colours, which colour-blind readers tell apart; shapes say the same again.
STYLES = {
    "stock": ("#000000", "s"),
    "ELMo": ("#0072B2", "o"),
    "transformer": ("#D55E00", "^"),
    "linear": ("#009E73", "D"),
}
# In points from the system's own, and how the label is aligned; the first free place is taken.
LABEL_PLACES = [
    (distance * x, distance * y, horizontal, vertical)
    for distance in (6, 14, 24, 36, 50, 70)
    for x, y, horizontal, vertical in (
        (1, 0, "left", "center"),
        (-1, 0, "right", "center"),
        (0, 1, "center", "bottom"),
        (0, -1, "center", "top"),
        (0.8, 0.8, "left", "bottom"),
        (0.8, -0.8, "left", "top"),
        (-0.8, 0.8, "right", "bottom"),
        (-0.8, -0.8, "right", "top"),
    )
]


class Point(NamedTuple):
    """A system.

    name: Its label.
    kind: A key of ``STYLES``.
    speed: Words a second.
    worth: Share of stock's errors removed, in percent."""

    name: str
    kind: str
    speed: float
    worth: float


def draw(summary: dict[str, Any], kinds: dict[str, str], paths: Sequence[Path]) -> None:
    """Draw a panel for each share of the training data and each group of data sets.

    summary: By ``summarize``.
    kinds: Of each system.
    paths: The files; their suffixes say in which format.
    RAISES ValueError: No system has both figures.
    """
    panels = [
        [(share, group) for group in summary["groups"]]
        for share in sorted({cell["share"] for cell in summary["cells"]}, reverse=True)
    ]
    size = (7.5 * len(panels[0]), 5 * len(panels))
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(panels), len(panels[0]), squeeze=False)
    drawn: list[tuple[Axes, list[Point]]] = []
    for row, row_of_axes in zip(panels, grid, strict=True):
        for (share, group), axes in zip(row, row_of_axes, strict=True):
            points = _points(group, share, kinds)
            drawn.append((axes, points))
            data = "all training data" if share == 1 else f"{100 * share:g} % of it"
            axes.set_title(f"{group['title']} ({', '.join(group['sets'])}), {data}", fontsize=9)
            _draw_panel(axes, points)
    if not any(points for _, points in drawn):
        raise ValueError("No system has been scored on all sets and timed.")
    figure.draw_without_rendering()  # places the axes, which labels need to know
    for axes, points in drawn:
        _place_labels(axes, points)
    with rc_context({"svg.fonttype": "none"}):  # text stays text
        for path in paths:
            figure.savefig(path, dpi=150)


def pareto(points: Sequence[Point]) -> list[Point]:
    """The systems that no other one beats in both, by rising speed."""
    frontier: list[Point] = []
    for point in sorted(points, key=lambda p: (p.speed, p.worth), reverse=True):
        if not frontier or point.worth > frontier[-1].worth:
            frontier.append(point)
    return frontier[::-1]


def _points(group: dict[str, Any], share: float, kinds: dict[str, str]) -> list[Point]:
    return [
        Point(name, kinds[name], figures["words_per_second"], worth)
        for name, figures in group["systems"].items()
        if (worth := figures["errors_removed"].get(f"{share:g}")) is not None
        and figures["words_per_second"] is not None
    ]


def _draw_panel(axes: Axes, points: Sequence[Point]) -> None:
    axes.set_xscale("log")
    axes.set_xlabel("words a second, one thread")
    axes.set_ylabel("stock's errors removed, in percent")
    axes.grid(True, which="both", color="#dddddd", linewidth=0.5)
    axes.margins(x=0.2, y=0.12)
    frontier = pareto(points)
    axes.step(
        [p.speed for p in frontier],
        [p.worth for p in frontier],
        where="pre",
        color="#999999",
        linestyle="--",
        label="Pareto frontier",
        zorder=1,
    )
    for kind, (colour, marker) in STYLES.items():
        own = [point for point in points if point.kind == kind]
        if own:
            axes.scatter(
                [p.speed for p in own],
                [p.worth for p in own],
                color=colour,
                marker=marker,
                label=kind,
                zorder=2,
            )
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    if points:
        axes.legend(fontsize=8, loc="best")


def _place_labels(axes: Axes, points: Sequence[Point]) -> None:
    """Each label beside its point, where it covers neither points, labels nor the legend and stays
    in the panel, if there is such a place."""
    taken = [_around(axes, point) for point in points]
    legend = axes.get_legend()
    if legend is not None:
        taken.append(legend.get_window_extent())
    for point in points:
        for x, y, horizontal, vertical in LABEL_PLACES:
            label = axes.annotate(
                point.name,
                (point.speed, point.worth),
                (x, y),
                textcoords="offset points",
                ha=horizontal,
                va=vertical,
                fontsize=8,
                color=STYLES[point.kind][0],
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5},
                arrowprops={"arrowstyle": "-", "color": "#999999", "linewidth": 0.5},
            )
            label.get_window_extent()  # places it
            box = Text.get_window_extent(label)  # without the arrow
            inside = axes.bbox.contains(box.x0, box.y0) and axes.bbox.contains(box.x1, box.y1)
            if inside and not any(other.overlaps(box) for other in taken):
                break
            label.remove()
        else:
            axes.add_artist(label)  # there is no room: the last place
        taken.append(box)


def _around(axes: Axes, point: Point) -> Bbox:
    x, y = axes.transData.transform((point.speed, point.worth))
    return Bbox.from_bounds(x - 5, y - 5, 10, 10)
