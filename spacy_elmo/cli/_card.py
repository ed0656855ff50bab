"""What stands beside a biLM's weights: its licence, and the vocabulary that it was trained with."""

import json
import re
from pathlib import Path
from typing import Optional

from ..formats import resolve_source

_CARDS = ("README.md", "README.txt", "README", "MODEL_CARD.md", "model_card.md")
# "| Licence | MIT |", "license: mit", "- **License:** MIT"
_LICENCE = re.compile(
    r"^[ \t]*[|*-]*[ \t]*\**licen[cs]e\**[ \t]*[:|]\**[ \t]*(\S.*?)[ \t]*\|?[ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)


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


def find_vocabulary_size(folder: Path) -> Optional[int]:
    """The number of words that the biLM learned to predict, boundaries and the unknown word
    included: from bilm-tf's option ``n_tokens_vocab``, or from the lines of ``vocab.txt``, where
    bilm-tf has one word a line."""
    for path in [*folder.glob("config.json"), *folder.glob("*options.json")]:
        size = json.loads(path.read_text(encoding="utf-8")).get("n_tokens_vocab")
        if size is not None:
            return int(size)
    vocabulary = folder / "vocab.txt"
    if not vocabulary.is_file():
        return None
    with vocabulary.open("rb") as file:
        return sum(1 for line in file if line.strip())
