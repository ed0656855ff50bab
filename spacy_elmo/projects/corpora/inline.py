"""A text a line with its entities in place, ``[Ada Lovelace](PERSON) was here.``: the format that
is written quickest by hand."""

import re
from pathlib import Path

from spacy.language import Language
from spacy.tokens import Doc

from . import Documents
from .lines import read_lines
from .spans import set_entities

_ENTITY = re.compile(r"\[([^\[\]]+)\]\((\w+)\)")


def read_inline(path: Path, nlp: Language) -> Documents:
    """Read a file; empty lines are skipped.

    nlp: Tokenizes.
    RAISES ValueError: Brackets are left over, or an entity isn't made of whole tokens.
    """
    for number, line in read_lines(path):
        if line.strip():
            yield [_parse(line.strip(), nlp, f"{path}, line {number}")]


def _parse(line: str, nlp: Language, where: str) -> Doc:
    """Take the markup out of a line and set the entities."""
    text, entities, end = "", [], 0
    for match in _ENTITY.finditer(line):
        text += line[end : match.start()]
        entities.append((len(text), len(text) + len(match[1]), match[2]))
        text += match[1]
        end = match.end()
    text += line[end:]
    if "[" in text or "]" in text:
        raise ValueError(f"{where}: square brackets are only for entities, [text](LABEL): {line}")
    doc = nlp.make_doc(text)
    set_entities(doc, entities, where)
    return doc
