"""The model card that is pushed to the Hugging Face Hub: the biLM's own, or a short one, with the
header that the hub reads."""

import re
from pathlib import Path
from typing import Any, Mapping, Optional

from ..formats import PUBLISHED, is_hub

# Those that the hub knows of the ones that are given to weights.
LICENCES = (
    *("mit", "apache-2.0", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "cc-by-3.0", "cc-by-4.0"),
    *("cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc-by-nd-4.0"),
    *("cc-by-nc-nd-4.0", "gpl-2.0", "gpl-3.0", "lgpl-3.0", "agpl-3.0", "mpl-2.0", "odc-by"),
    "unlicense",
)
_TAGS = ("elmo", "spacy", "word-embeddings")
_HEADER = re.compile(r"\s*---[ \t]*\r?\n(.*?\n)??---[ \t]*(?:\r?\n|$)", re.DOTALL)
_LANGUAGE = re.compile(r"^A biLM for `([a-z]{2,3})`", re.MULTILINE)  # as pretraining writes it

_USE = """\
```python
import spacy

nlp = spacy.blank("{lang}")
nlp.add_pipe("elmo", config={{"model": {{"source": "hf:{repository}"}}}})
```

Without spaCy: `spacy_elmo.BiLM.load("hf:{repository}")`. Either needs
`pip install "spacy-elmo[hub]"`."""


def own_card(folder: Path) -> Optional[str]:
    """The card that stands beside a biLM's weights, if there is one."""
    path = folder / "README.md"
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None


def short_card(source: str, repository: str, rows: Mapping[str, Any], lang: Optional[str]) -> str:
    """A card for a biLM without one.

    source: Where its weights come from.
    repository: Where they go.
    rows: What is known of it.
    lang: Its language's code.
    """
    origin = source if source in PUBLISHED or is_hub(source) else None
    return "\n".join(
        [
            f"# {repository.split('/')[1]}",
            "",
            "A biLM (the language model of ELMo) in the native layout of spacy-elmo"
            + (f", converted from `{origin}`." if origin else "."),
            "",
            "| | |",
            "|---|---|",
            *(f"| {name} | {_cell(value)} |" for name, value in rows.items()),
            "",
            "## Use",
            "",
            _USE.format(repository=repository, lang=lang or "xx"),
            "",
        ]
    )


def names_licence(card: str) -> bool:
    """Whether a card has a header that names a licence."""
    header = _HEADER.match(card)
    return header is not None and re.search("^license:", header[1] or "", re.MULTILINE) is not None


def with_header(hub: Any, card: str, licence: Optional[str], lang: Optional[str]) -> str:
    """A card with the header that the hub reads. What a header of the card's own says stays, but
    for the library and what is given here.

    hub: The module huggingface_hub.
    card: In Markdown.
    licence: An identifier of the hub's or any other text.
    lang: The language's code.
    RAISES ValueError: The card's own header is none.
    """
    if not _HEADER.match(card):
        match = _LANGUAGE.search(card)
        lang = lang or (match[1] if match else None)
        card = f"---\nlibrary_name: spacy-elmo\n---\n\n{card}"
    try:
        model_card = hub.ModelCard(card.lstrip())
    except Exception as error:  # of the library for YAML as well
        raise ValueError(f"The header of the biLM's README.md can't be read: {error}") from error
    data = model_card.data
    data.library_name = "spacy-elmo"
    data.pipeline_tag = data.pipeline_tag or "feature-extraction"
    data.tags = list(dict.fromkeys([*(data.tags or ()), *_TAGS]))
    data.language = lang or data.language
    if licence is not None:
        identifier = re.sub(r"\s+", "-", licence.strip().lower())
        is_known = identifier in LICENCES
        data.license = identifier if is_known else "other"
        data.license_name = None if is_known else licence.strip()
        data.license_link = None
    return str(model_card)


def _cell(value: Any) -> str:
    return " ".join(str(value).replace("|", "\\|").split())
