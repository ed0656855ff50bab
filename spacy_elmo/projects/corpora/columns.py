"""CoNLL columns: a word a line, beside it its entity tag (IOB or IOB2); a sentence ends at a blank
line."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple, Optional

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import biluo_tags_to_spans, iob_to_biluo

from . import Documents
from .lines import read_lines

# Where a document begins: at each sentence, at lines ``-DOCSTART- …``, or where the second column,
# a word's place in its document, is 0.
Begin = Literal["sentence", "mark", "offset"]

_MARK = "-DOCSTART-"
_TAG = re.compile(r"O|[BI]-\S+")


class Columns(NamedTuple):
    """Where things stand in a file.

    word: Column of a word, from 0.
    tag: Column of its tag; -1 is the last.
    comment: What lines begin with that are none of either, if there are such.
    has_spaces: Whether words are written apart.
    """

    word: int = 0
    tag: int = -1
    comment: Optional[str] = None
    has_spaces: bool = True


_DEFAULT = Columns()


class Row(NamedTuple):
    """number: Of the line.
    columns: What stands in it."""

    number: int
    columns: list[str]


def read_columns(
    path: Path, nlp: Language, begin: Begin = "mark", columns: Columns = _DEFAULT
) -> Documents:
    """Read a file; each sentence is a Doc.

    path: Columns are separated by tabs, or by any white space if a line has none.
    nlp: For its vocabulary.
    begin: Where documents begin. Marks are never words.
    columns: Where words and tags stand.
    RAISES ValueError: A line hasn't as many columns as the others, or no tag where one should be.
    """
    document: list[Doc] = []
    for rows in _read_sentences(path, columns):
        first = rows[0].columns
        is_mark = first[0] == _MARK
        begins = begin == "sentence" or is_mark or (begin == "offset" and first[1] == "0")
        if document and begins:
            yield document
            document = []
        if not is_mark:
            document.append(_make_doc(rows, nlp, columns))
    if document:
        yield document


def _read_sentences(path: Path, places: Columns) -> Iterator[list[Row]]:
    """What stands between blank lines, which may hold tabs. A mark stands for itself."""
    rows: list[Row] = []
    n_columns = 0
    for number, line in read_lines(path):
        if places.comment and line.startswith(places.comment):
            continue
        if line.strip():
            columns = line.split("\t") if "\t" in line else line.split()
            n_columns = n_columns or len(columns)
            _check(path, number, line, columns, n_columns, places)
            rows.append(Row(number, columns))
        if rows and (not line.strip() or rows[-1].columns[0] == _MARK):
            yield rows
            rows = []
    if rows:
        yield rows


def _check(
    path: Path, number: int, line: str, columns: list[str], n_columns: int, places: Columns
) -> None:
    problem = ""
    if columns[0] == _MARK:
        return
    # Of a file whose columns are named, the others may be anything.
    read = range(len(columns)) if places == _DEFAULT else (places.word, places.tag)
    if len(columns) < 2:
        problem = "there is one column; a word and its tag are at least two"
    elif len(columns) <= max(places.word, places.tag):
        problem = f"there are {len(columns)} columns; its tag should be in column {places.tag + 1}"
    elif places == _DEFAULT and len(columns) != n_columns:
        problem = f"there are {len(columns)} columns, and {n_columns} in the lines before"
    elif not all(columns[i].strip() for i in read):
        problem = "a column is empty"
    elif not _TAG.fullmatch(columns[places.tag]):
        which = "the last column" if places.tag == -1 else f"column {places.tag + 1}"
        problem = f"{which} is {columns[places.tag]!r}, which is no tag (O, B-LABEL or I-LABEL)"
    if problem:
        raise ValueError(f"{path}, line {number}: {problem}: {line!r}")


def _make_doc(rows: list[Row], nlp: Language, places: Columns) -> Doc:
    words = [row.columns[places.word] for row in rows]
    doc = Doc(nlp.vocab, words=words, spaces=[places.has_spaces] * len(words))
    tags = [row.columns[places.tag] for row in rows]
    doc.ents = biluo_tags_to_spans(doc, iob_to_biluo(tags))
    return doc
