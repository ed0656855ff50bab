"""JSON lines: an object a line with ``text``, and what is known of it, as Prodigy writes it."""

import json
from pathlib import Path
from typing import Any, Optional

from spacy.language import Language
from spacy.tokens import Doc
from spacy.util import get_words_and_spaces

from . import Documents
from .lines import read_lines
from .spans import set_entities


def read_json_lines(path: Path, nlp: Language) -> Documents:
    """Read a file. Of an object count

    - ``text``, and ``tokens``, a list of objects with ``text``, if there are any;
    - ``spans``, a list of objects with ``start``, ``end`` (characters) and ``label``: entities;
    - ``label``, the text's category, or ``cats``, an object of categories and numbers;
    - ``answer``: texts whose spans were not accepted are left out. A rejected label is the category
      ``NOT label``. What was ignored is left out.

    nlp: Tokenizes texts without tokens.
    RAISES ValueError: A line isn't such an object, or a span isn't one of whole tokens.
    """
    for number, line in read_lines(path):
        if line.strip():
            doc = _read_object(line, nlp, f"{path}, line {number}")
            if doc is not None:
                yield [doc]


def _read_object(line: str, nlp: Language, where: str) -> Optional[Doc]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"{where}: not JSON: {error}") from error
    if not isinstance(row, dict) or not isinstance(row.get("text"), str):
        raise ValueError(f'{where}: not an object with a "text": {line[:80]}')
    answer = row.get("answer", "accept")
    is_left_out = answer == "ignore" or (answer == "reject" and "label" not in row)
    if is_left_out or not row["text"].strip():
        return None
    try:
        doc = _make_doc(row, nlp)
        spans = [(span["start"], span["end"], span["label"]) for span in row.get("spans") or ()]
        cats = {name: float(value) for name, value in (row.get("cats") or {}).items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{where}: tokens, spans or cats have another form: {error!r}") from error
    set_entities(doc, spans, where)
    if "label" in row:
        cats[row["label"] if answer == "accept" else f"NOT {row['label']}"] = 1.0
    doc.cats = cats
    return doc


def _make_doc(row: dict[str, Any], nlp: Language) -> Doc:
    if not row.get("tokens"):
        return nlp.make_doc(row["text"])
    words, spaces = get_words_and_spaces([token["text"] for token in row["tokens"]], row["text"])
    return Doc(nlp.vocab, words=words, spaces=spaces)
