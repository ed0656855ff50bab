"""A picture of a run: losses, the distance to a teacher, held-out perplexities, learning rate and
speed."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...formats.files import replacing
from .run_log import Report
from .units import format_count, format_decimal

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Blue and orange of Okabe & Ito's palette, which people with any colour vision tell apart.
_FORWARD, _BACKWARD, _OTHER = "#0072B2", "#D55E00", "#444444"
_INCHES, _INCHES_OF_A_TEACHER, _DPI = (9.0, 8.0), 1.8, 160
_PERPLEXITY_RANGE = 20  # a fresh network's perplexity, that of a guess, would flatten the rest


def plot_curves(reports: Sequence[Report], path: Path, title: str) -> None:
    """Draw the curves of a run over the tokens read and write them as PNG. The lowest held-out
    perplexity of each direction is marked and named.

    reports: The run's reports (``RunLog.read()``), oldest first. The picture is empty without any.
    path: The PNG to write.
    title: Stands above the curves.
    RAISES ImportError: Matplotlib is missing.
    """
    try:
        # Not pyplot, whose windows and current figure belong to whoever calls this.
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ImportError as error:
        raise ImportError(
            "Drawing the curves needs Matplotlib: pip install 'spacy-elmo[plot]'"
        ) from error

    is_taught = bool(np.isfinite(_values(reports, "loss_distillation")).any())
    size = (_INCHES[0], _INCHES[1] + _INCHES_OF_A_TEACHER * is_taught)
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.08))
    canvas = FigureCanvasAgg(figure)
    figure.suptitle(title, x=0.015, ha="left", fontsize=13, fontweight="bold")
    heights = [5, 6, 3] if not is_taught else [5, 3, 6, 3]
    grid = figure.add_gridspec(len(heights), 2, height_ratios=heights, hspace=0.06)
    _draw_losses(figure.add_subplot(grid[0, :]), reports)
    if is_taught:
        _draw_distances(figure.add_subplot(grid[1, :]), reports)
    _draw_perplexities(figure.add_subplot(grid[-2, :]), reports)
    _draw_learn_rate(figure.add_subplot(grid[-1, 0]), reports)
    _draw_speed(figure.add_subplot(grid[-1, 1]), reports)
    with replacing(path) as temporary:
        canvas.print_figure(temporary, format="png", dpi=_DPI)


def _draw_losses(axes: "Axes", reports: Sequence[Report]) -> None:
    _prepare(axes, reports, "Training loss (nats a token)")
    for name, color in [("forward", _FORWARD), ("backward", _BACKWARD)]:
        _draw_line(axes, reports, _values(reports, f"loss_{name}"), color, name)
    axes.legend(frameon=False, loc="upper right")


def _draw_distances(axes: "Axes", reports: Sequence[Report]) -> None:
    _prepare(axes, reports, "Squared distance to the teacher (1: nothing is learned)")
    _draw_from_zero(axes, reports, _values(reports, "loss_distillation"))


def _draw_perplexities(axes: "Axes", reports: Sequence[Report]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    _prepare(axes, reports, "Held-out perplexity (log scale)")
    lowest = []
    for name, color in [("forward", _FORWARD), ("backward", _BACKWARD)]:
        perplexities = _values(reports, f"perplexity_{name}")
        if not np.isfinite(perplexities).any():
            continue
        best = int(np.nanargmin(perplexities))
        value, tokens = perplexities[best], reports[best].words
        label = f"{name}, lowest: {format_decimal(value)} at {format_count(tokens)} tokens"
        _draw_line(axes, reports, perplexities, color, label)
        axes.plot(tokens, value, "o", color=color, markeredgecolor="white", clip_on=False)
        lowest.append(value)
    if not lowest:
        axes.set_yticks([])
        axes.text(0.5, 0.5, "not measured", ha="center", transform=axes.transAxes)
        return
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_ylim(top=min(axes.get_ylim()[1], _PERPLEXITY_RANGE * min(lowest)))
    axes.legend(frameon=False, loc="upper right")


def _draw_learn_rate(axes: "Axes", reports: Sequence[Report]) -> None:
    _prepare(axes, reports, "Learning rate")
    _draw_from_zero(axes, reports, _values(reports, "learn_rate"))


def _draw_speed(axes: "Axes", reports: Sequence[Report]) -> None:
    from matplotlib.ticker import FuncFormatter

    _prepare(axes, reports, "Tokens a second")
    _draw_from_zero(axes, reports, _values(reports, "tokens_per_second"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: format_count(value)))


def _prepare(axes: "Axes", reports: Sequence[Report], title: str) -> None:
    """An empty plot over tokens: a thin grid, and no frame but the axes."""
    from matplotlib.ticker import FuncFormatter

    axes.set_title(title, loc="left", fontsize=11)
    axes.set_xlabel("tokens read")
    axes.set_xlim(0, max([1, *(report.words for report in reports)]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: format_count(value)))
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(color="#888888")


def _draw_from_zero(axes: "Axes", reports: Sequence[Report], values: np.ndarray) -> None:
    """One line whose height above zero tells."""
    _draw_line(axes, reports, values, _OTHER)
    if np.isfinite(values).any() and np.nanmax(values) > 0:
        axes.set_ylim(0, 1.15 * np.nanmax(values))


def _draw_line(
    axes: "Axes", reports: Sequence[Report], values: np.ndarray, color: str, label: str = ""
) -> None:
    """Values, (n_reports,), over tokens. A few are marked, because one point makes no line."""
    marker = "." if len(reports) < 20 else ""
    tokens = [report.words for report in reports]
    axes.plot(tokens, values, marker=marker, color=color, linewidth=1.6, label=label)


def _values(reports: Sequence[Report], name: str) -> np.ndarray:
    """(n_reports,) what the reports hold under a name; what isn't finite makes a gap in a line."""
    values = np.array([getattr(report, name) for report in reports], dtype=float)
    return np.where(np.isfinite(values), values, np.nan)
