"""Tables, CSV or TSV: a labelled text a row."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, Optional

from spacy.language import Language
from spacy.tokens import Doc

from . import Documents
from .lines import read_lines


class Table(NamedTuple):
    """How a table is read.

    delimiter: "," or a tab. Quotes mean something only in tables with commas.
    text: Column of the text: its name in the first row, or its number, from 1, in a table without
        names.
    label: Column of the category, likewise.
    labels: Other names for categories; None keeps those of the file.
    is_tokenized: Spaces separate tokens, and spaCy's tokenizer isn't needed.
    """

    delimiter: str = ","
    text: str = "text"
    label: str = "label"
    labels: Optional[Mapping[str, str]] = None
    is_tokenized: bool = False


def read_table(path: Path, nlp: Language, table: Table) -> Documents:
    """Read a file; rows without text are left out.

    nlp: Tokenizes.
    RAISES ValueError: A column is missing, in the whole table or in a row, or a label is unknown.
    """
    rows = _read_rows(path, table.delimiter)
    columns: list[int] = []
    for number, row in rows:
        where = f"{path}, line {number}"
        if not columns:
            columns = _find_columns(where, row, table)
            if not table.text.isdigit():
                continue
        if len(row) <= max(columns):
            raise ValueError(
                f"{where}: there are {len(row)} columns, not {max(columns) + 1}: {row}"
            )
        text, label = (row[column].strip() for column in columns)
        if not text:
            continue
        if not label or (table.labels is not None and label not in table.labels):
            known = "" if table.labels is None else f"; labels are {', '.join(table.labels)}"
            raise ValueError(f"{where}: {label!r} is no label{known}.")
        doc = Doc(nlp.vocab, words=text.split()) if table.is_tokenized else nlp.make_doc(text)
        doc.cats = {label if table.labels is None else table.labels[label]: 1.0}
        yield [doc]


def _read_rows(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    lines = (f"{line}\n" for _, line in read_lines(path))
    if delimiter == ",":
        reader = csv.reader(lines, strict=True)
    else:
        reader = csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)
    try:
        for row in reader:
            if row:
                yield reader.line_num, row
    except csv.Error as error:
        raise ValueError(f"{path}, line {reader.line_num}: {error}") from error


def _find_columns(where: str, first: list[str], table: Table) -> list[int]:
    """RETURNS: Places of text and label in a row."""
    if table.text.isdigit() != table.label.isdigit() or "0" in (table.text, table.label):
        raise ValueError(
            f"Columns {table.text!r} and {table.label!r}: give the names of both, or the numbers "
            "of both, from 1."
        )
    if table.text.isdigit():
        return [int(table.text) - 1, int(table.label) - 1]
    for name in (table.text, table.label):
        if name not in first:
            raise ValueError(f"{where}: there is no column {name!r} among {', '.join(first)}.")
    return [first.index(table.text), first.index(table.label)]
