"""What ``info`` and ``download`` print of a biLM, and what a short model card says of it: its
shape, and what stands beside its weights, which is the licence and the vocabulary that it was
trained with."""

import json
import re
from pathlib import Path
from typing import Any, Dict, Optional, Union

from ..api import BiLM
from ..bilm import CharCNNConfig, LexiconCNNConfig, LexiconConfig
from ..formats import PUBLISHED, MissingVocabulary, is_hub, read_local_softmax, resolve_source
from ..formats.native import WEIGHTS_NAME
from ..formats.source import bundled_names
from ..urls import is_url

_CARDS = ("README.md", "README.txt", "README", "MODEL_CARD.md", "model_card.md")
# "| Licence | MIT |", "license: mit", "- **License:** MIT"
_LICENCE = re.compile(
    r"^[ \t]*[|*-]*[ \t]*\**licen[cs]e\**[ \t]*[:|]\**[ \t]*(\S.*?)[ \t]*\|?[ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)


def bilm_rows(bilm: BiLM) -> Dict[str, Any]:
    """The shape of a biLM."""
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


def card_rows(source: str) -> Dict[str, Any]:
    """What is known of a biLM.

    source: Where its weights come from; they are on this machine already.
    """
    folder = weights_folder(source)
    size, licence = find_vocabulary_size(folder), find_licence(folder)
    rows = {
        "Vocabulary": "any word" + (f"; {size:,} were predicted in training" if size else ""),
        "Softmax": _softmax_row(source),
    }
    if source in PUBLISHED:
        published = PUBLISHED[source]
        licence = published.licence or licence
        rows.update({"Trained on": published.description, "Cite": published.citation})
        if published.warning:
            rows["Warning"] = published.warning
    return {**rows, "Licence": licence or "unknown"}


def _softmax_row(source: str) -> str:
    """Whether the words that were predicted in training can be predicted again."""
    try:
        softmax = read_local_softmax(resolve_source(source))
    except MissingVocabulary:
        return "over words that are not known: there is no vocab.txt"
    except ImportError:
        return "unknown without TensorFlow"
    if softmax is not None:
        return f"over {len(softmax.words):,} words"
    is_native = (weights_folder(source) / WEIGHTS_NAME).is_file()
    if is_native and (is_hub(source) or is_url(source)):
        return "none here; if the source has one, it is fetched when it is needed"
    return "none"


def weights_folder(source: str) -> Path:
    """The folder that a source's weights lie in.

    source: A source that can be loaded.
    """
    resolved = resolve_source(source)
    path = resolved[1] if isinstance(resolved, tuple) else resolved
    return path if path.is_dir() else path.parent


def find_licence(folder: Path) -> Optional[str]:
    """The licence that a README or model card names in a line of its own, be it of a list, of a
    table or of the card's header."""
    for name in _CARDS:
        path = folder / name
        if path.is_file():
            found = _LICENCE.search(path.read_text(encoding="utf-8", errors="replace"))
            if found:
                return found.group(1)
    return None


def licence_of_name(source: Any) -> Optional[str]:
    """The licence of a bundled or published biLM; None if the source isn't the name of one.

    source: Where weights came from once. Nothing is fetched.
    """
    if not isinstance(source, str):
        return None
    if source in PUBLISHED:
        return PUBLISHED[source].licence
    return find_licence(weights_folder(source)) if source in bundled_names() else None


def find_vocabulary_size(folder: Path) -> Optional[int]:
    """The number of words that the biLM learned to predict, boundaries and the unknown word
    included: from bilm-tf's option ``n_tokens_vocab``, or from the lines of
    ``vocabulary.txt`` or ``vocab.txt``, which have one word a line."""
    for path in [*folder.glob("config.json"), *folder.glob("*options.json")]:
        try:
            options = json.loads(path.read_bytes())
        except ValueError:  # not the options that the biLM was loaded with
            continue
        size = options.get("n_tokens_vocab") if isinstance(options, dict) else None
        if isinstance(size, int):
            return size
    for name in ("vocabulary.txt", "vocab.txt"):
        if (folder / name).is_file():
            with (folder / name).open("rb") as file:
                return sum(1 for line in file if line.strip())
    return None


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
