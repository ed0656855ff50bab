"""How all pictures look: colours, a figure, and how it is written."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ...formats.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which people with any colour vision tell apart; markers say the same.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "os^Dv*P"
# What always looks the same, whatever else is in the picture.
SYSTEM_STYLES = {
    "stock": ("#000000", "s"),
    "elmo": ("#56B4E9", "^"),
    "both": ("#0072B2", "o"),
}
_DPI = 150


def new_figure(width: float, height: float) -> "Figure":
    """width, height: In inches.
    RAISES ImportError: Matplotlib is missing.
    """
    try:
        # Not pyplot, whose windows and current figure belong to whoever calls this.
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("Pictures need Matplotlib: pip install 'spacy-elmo[projects]'") from error
    return Figure(figsize=(width, height), layout="constrained")


def plain(axes: "Axes", title: str) -> None:
    """A title at the left, a thin grid below what is drawn, and no frame but the axes."""
    axes.set_title(title, loc="left", fontsize=11)
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(color="#888888")


def save(figure: "Figure", path: Path) -> list[Path]:
    """Write a picture as PNG and as SVG; the same picture is the same file.

    path: Without suffix.
    RETURNS: The files.
    """
    paths = [path.with_name(f"{path.name}.{kind}") for kind in ("png", "svg")]
    with _settings():
        for file in paths:
            metadata = {"Date": None} if file.suffix == ".svg" else {"Software": None}
            with replacing(file) as temporary:
                figure.savefig(temporary, format=file.suffix[1:], dpi=_DPI, metadata=metadata)
    return paths


@contextmanager
def _settings() -> Iterator[None]:
    from matplotlib import rc_context

    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "spacy-elmo"}):  # text stays text
        yield
