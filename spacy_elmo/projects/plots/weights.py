"""``python -m spacy_elmo.projects weights``: how much of each layer a task has learned to take."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import spacy
import typer
from spacy.language import Language
from wasabi import msg

from ...component import Elmo
from ...layers import read_mix
from .style import COLOURS, new_figure, plain, save

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Mix(NamedTuple):
    """What a listener has learned.

    component: Its component.
    shares: (n_layers,) of each layer; their sum is 1.
    gamma: What the mix is scaled by."""

    component: str
    shares: np.ndarray
    gamma: float


def weights(
    model: Path = typer.Argument(..., exists=True, help="A trained pipeline with 'elmo'"),
    output: Path = typer.Argument(..., help="The picture, without suffix: PNG and SVG are written"),
    title: str = typer.Option("", help="Stands above the picture"),
) -> None:
    """Draw the layer weights that every listener of a pipeline has learned, and print them."""
    try:
        mixes = read_mixes(spacy.load(model))
        figure = draw_weights(mixes, title)
        for mix in mixes:
            shares = ", ".join(f"{share:.2f}" for share in mix.shares)
            msg.text(f"{mix.component}: {shares} (gamma {mix.gamma:.2f})")
        msg.good(", ".join(map(str, save(figure, output))))
    except (ValueError, ImportError) as error:
        msg.fail("Can't draw", str(error), exits=1)


def read_mixes(nlp: Language) -> list[Mix]:
    """The learned mixes of all components but 'elmo' itself.

    RAISES ValueError: There are none.
    """
    mixes = []
    for name, pipe in nlp.pipeline:
        if isinstance(pipe, Elmo) or not hasattr(pipe, "model"):
            continue
        for node in pipe.model.walk():
            if node.name == "scalar_mix" and node.has_param("s"):
                mix = read_mix(node)
                if mix is not None:
                    mixes.append(Mix(name, *mix))
    if not mixes:
        raise ValueError(
            "No component of the pipeline has learned a mix of layers: none has an ElmoListener "
            "with mix_weights = null."
        )
    return mixes


def draw_weights(mixes: list[Mix], title: str = "") -> "Figure":
    """A group of bars for each layer, a bar for each listener."""
    n_layers = max(len(mix.shares) for mix in mixes)
    figure = new_figure(2 + 0.9 * n_layers + 0.4 * n_layers * len(mixes), 3.6)
    axes = figure.subplots()
    plain(axes, title)
    axes.grid(False, axis="x")
    width = 0.7 / len(mixes)
    for i, mix in enumerate(mixes):
        places = np.arange(len(mix.shares)) + (i - (len(mixes) - 1) / 2) * width
        label = f"{mix.component} (scaled by {mix.gamma:.2f})"
        colour = COLOURS[i % len(COLOURS)]
        bars = axes.bar(places, 100 * mix.shares, 0.9 * width, color=colour, label=label)
        axes.bar_label(bars, fmt="%.0f")
    names = ["0: characters", *(f"{i}: LSTM" for i in range(1, n_layers))]
    axes.set_xticks(range(n_layers), names)
    axes.set_xlabel("layer of the biLM")
    axes.set_ylabel("share of the mix (%)")
    axes.margins(y=0.1)
    figure.legend(loc="outside lower center", ncols=len(mixes), frameon=False)
    return figure
