"""``python -m spacy elmo info``"""

from pathlib import Path
from typing import Any, Dict, Iterator, Tuple, cast

import spacy
import typer
from thinc.api import Model
from wasabi import msg

from ..api import BiLM
from ..component import Elmo
from ..layers import BiLMShim, ElmoListener, read_mix
from ..urls import shown
from ._card import bilm_rows, card_rows, licence_of_name
from ._help import SOURCE


def info(
    source: str = typer.Argument(..., help=f"{SOURCE}; or a trained pipeline's directory"),
) -> None:
    """Print the shape of a biLM and what is known of it."""
    try:
        if (Path(source) / "config.cfg").is_file():
            tables = dict(_pipeline_tables(source))
        else:
            tables = {"": {**bilm_rows(BiLM.load(source)), **card_rows(source)}}
    except (ValueError, ImportError, OSError) as error:
        msg.fail(f"Can't load '{shown(source)}'", str(error), exits=1)
    for name, rows in tables.items():
        if name:
            msg.divider(name)
        msg.table(rows)


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
        shim = cast(BiLMShim, elmo.bilm.shims[0])
        rows = bilm_rows(BiLM(shim.engine.network))
        # Of a pipeline that was trained with a config, spaCy's meta.json has none.
        licence = licence_of_name(shim.source)
        named = licence and f"{licence} ({shim.source}, which the biLM comes from)"
        rows["Licence"] = nlp.meta.get("license") or named or "unknown"
        rows["Mix"] = _mix(elmo.mix)
        for name, listeners in elmo.listener_map.items():
            for listener in listeners:
                if isinstance(listener, ElmoListener):
                    rows[f"Mix of {name}"] = _mix(listener.layers[0])
        yield elmo.name, rows


def _mix(model: Model) -> str:
    """The factor of each layer in a mix."""
    mix = read_mix(model)
    if mix is None:
        return "none: the layers are side by side"
    return ", ".join(f"{mix.gamma * share:.3f}" for share in mix.shares)
