"""``python -m spacy elmo info``"""

from pathlib import Path
from typing import Any, Dict, Iterator, Optional, Tuple, Union, cast

import numpy as np
import spacy
import typer
from thinc.api import Model
from wasabi import msg

from ..api import BiLM
from ..bilm import CharCNNConfig, LexiconCNNConfig, LexiconConfig
from ..component import Elmo
from ..formats.published import PUBLISHED
from ..layers import BiLMShim, ElmoListener
from ._card import find_licence, find_vocabulary_size, weights_folder


def info(
    source: str = typer.Argument(
        ..., help="A bundled name, a directory or an HDF5 file; or a trained pipeline's directory"
    ),
) -> None:
    """Print the shape of a biLM and what is known of it."""
    try:
        if (Path(source) / "config.cfg").is_file():
            tables = dict(_pipeline_tables(source))
        else:
            tables = {"": {**_rows(BiLM.load(source)), **_card_rows(source)}}
    except (ValueError, ImportError, OSError) as error:
        msg.fail(f"Can't load '{source}'", str(error), exits=1)
    for name, rows in tables.items():
        if name:
            msg.divider(name)
        msg.table(rows)


def _rows(bilm: BiLM) -> Dict[str, Any]:
    cnn, lstm = bilm.config.char_cnn, bilm.config.lstm
    filters = ", ".join(f"{n} of width {width}" for width, n in cnn.filters)
    parameters = sum(parameter.numel() for parameter in bilm.network.parameters())
    return {
        "Layers": f"{bilm.config.n_layers} of width {bilm.config.width}",
        **_lexicon_rows(cnn),
        "Filters": f"{filters}; {cnn.activation}",
        "Highway layers": cnn.n_highway,
        "LSTMs": f"{lstm.n_layers} a direction, {lstm.dim} cells to {lstm.projection_dim}",
        "Clips": f"cell {lstm.cell_clip or 'none'}, projection {lstm.proj_clip or 'none'}",
        "Parameters": f"{parameters:,}",
    }


def _card_rows(source: str) -> Dict[str, Any]:
    folder = weights_folder(source)
    size, licence = find_vocabulary_size(folder), find_licence(folder)
    rows = {"Vocabulary": "any word" + (f"; {size:,} were predicted in training" if size else "")}
    if source in PUBLISHED:
        published = PUBLISHED[source]
        licence = published.licence or licence
        rows.update({"Trained on": published.description, "Cite": published.citation})
    return {**rows, "Licence": licence or "unknown"}


def _pipeline_tables(path: str) -> Iterator[Tuple[str, Dict[str, Any]]]:
    """For each ``elmo`` component its name and rows.

    RAISES ValueError: There is none.
    """
    nlp = spacy.load(path)
    found = [pipe for _, pipe in nlp.pipeline if isinstance(pipe, Elmo)]
    if not found:
        raise ValueError(f"The pipeline {', '.join(nlp.pipe_names)} has no 'elmo' component.")
    for elmo in found:
        elmo.load()
        rows = _rows(BiLM(cast(BiLMShim, elmo.bilm.shims[0]).engine.network))
        rows["Licence"] = nlp.meta.get("license") or "unknown"
        rows["Mix"] = _mix(elmo.mix)
        for name, listeners in elmo.listener_map.items():
            for listener in listeners:
                if isinstance(listener, ElmoListener):
                    rows[f"Mix of {name}"] = _mix(listener.layers[0])
        yield elmo.name, rows


def _mix(model: Model) -> str:
    """The factor of each layer in a scalar mix: gamma * softmax(s), or what was set."""
    factors: Optional[Any] = model.attrs["settings"].weights
    if factors is None:
        shares = np.exp(model.ops.to_numpy(model.get_param("s")).astype("float64"))
        factors = model.ops.to_numpy(model.get_param("gamma")) * shares / shares.sum()
    return ", ".join(f"{factor:.3f}" for factor in factors)


def _lexicon_rows(cnn: Union[CharCNNConfig, LexiconCNNConfig]) -> dict[str, str]:
    """What of a text the biLM sees."""
    length = f"{cnn.max_characters_per_token} a word"
    if isinstance(cnn, CharCNNConfig):
        return {"Characters": f"bytes embedded in {cnn.embedding.dim}, {length}"}
    return {
        "Characters": f"{_size(cnn.characters)}, {length}",
        "Words": "none" if cnn.words is None else _size(cnn.words),
    }


def _size(lexicon: LexiconConfig) -> str:
    return f"{len(lexicon.entries):,} entries embedded in {lexicon.dim}"
