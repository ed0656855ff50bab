"""``python -m spacy elmo info``"""

from typing import Union

import typer
from wasabi import msg

from ..api import BiLM
from ..bilm import CharCNNConfig, LexiconCNNConfig, LexiconConfig


def info(
    source: str = typer.Argument(..., help="A bundled name, a directory or an HDF5 file"),
) -> None:
    """Print the shape of a biLM."""
    try:
        bilm = BiLM.load(source)
    except (ValueError, ImportError) as error:
        msg.fail(f"Can't load '{source}'", str(error), exits=1)
    cnn, lstm = bilm.config.char_cnn, bilm.config.lstm
    filters = ", ".join(f"{n} of width {width}" for width, n in cnn.filters)
    parameters = sum(parameter.numel() for parameter in bilm.network.parameters())
    msg.table(
        {
            "Layers": f"{bilm.config.n_layers} of width {bilm.config.width}",
            **_lexicon_rows(cnn),
            "Filters": f"{filters}; {cnn.activation}",
            "Highway layers": cnn.n_highway,
            "LSTMs": f"{lstm.n_layers} a direction, {lstm.dim} cells to {lstm.projection_dim}",
            "Clips": f"cell {lstm.cell_clip or 'none'}, projection {lstm.proj_clip or 'none'}",
            "Parameters": f"{parameters:,}",
        }
    )


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
