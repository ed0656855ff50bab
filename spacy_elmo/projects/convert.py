"""``python -m spacy_elmo.projects convert``"""

from enum import Enum
from functools import partial
from pathlib import Path
from typing import Callable, Dict, List, Optional

import spacy
import typer
from spacy.language import Language
from spacy.tokens import Doc
from wasabi import msg

from .corpora import Documents
from .corpora.binary import write_docs
from .corpora.columns import Begin, read_columns
from .corpora.inline import read_inline
from .corpora.json_lines import read_json_lines
from .corpora.labels import complete_labels, count_labels
from .corpora.split import hold_out
from .corpora.tables import Table, read_table


class Format(str, Enum):
    """Formats of annotated texts."""

    INLINE = "inline"
    COLUMNS = "columns"
    JSONL = "jsonl"
    CSV = "csv"
    TSV = "tsv"


class Begins(str, Enum):
    """Where documents begin in columns."""

    SENTENCE = "sentence"
    MARK = "mark"
    OFFSET = "offset"


def convert(
    inputs: List[Path] = typer.Argument(
        ..., help="Files, the one to learn from first, and the output folder last"
    ),
    kind: Format = typer.Option(..., "--format", "-f", help="Format of the files"),
    lang: str = typer.Option("en", "--lang", "-l", help="Language of the tokenizer"),
    text: str = typer.Option("text", "--text", help="Tables: name or number of the text's column"),
    label: str = typer.Option("label", "--label", help="Tables: that of the label's column"),
    labels: Optional[str] = typer.Option(
        None, "--labels", help="Tables: other names for labels, as in 0=negative,1=positive"
    ),
    tokenized: bool = typer.Option(False, "--tokenized", help="Tables: spaces separate tokens"),
    begins: Begins = typer.Option(
        Begins.MARK,
        "--documents",
        help="Columns: what begins a document, none of which is torn apart by --dev-share: each "
        "sentence, a line -DOCSTART-, or a 0 in the second column",
    ),
    dev_share: float = typer.Option(
        0.0, "--dev-share", min=0.0, max=0.5, help="Share of the first file for dev.spacy"
    ),
) -> None:
    """Convert annotated texts into .spacy files of the same names.

    inline: a text a line, [Ada Lovelace](PERSON). columns: CoNLL, a word a line and its tag in the
    last column. jsonl: objects with text, spans, label or cats. csv, tsv: a text and its label.
    """
    *paths, output = inputs
    try:
        table = Table("," if kind is Format.CSV else "\t", text, label, _pairs(labels), tokenized)
        read = partial(_read, kind=kind, nlp=spacy.blank(lang), table=table, begin=begins.value)
        parts = _read_parts(paths, read, dev_share)
        complete_labels(parts, train=next(iter(parts)))
    except (ValueError, OSError) as error:
        msg.fail("Can't convert", str(error), exits=1)
    for name, docs in parts.items():
        write_docs(docs, output / f"{name}.spacy")
        counts = ", ".join(f"{n} {label}" for label, n in count_labels(docs).most_common(8))
        msg.good(f"{output / name}.spacy: {len(docs)} texts, {counts}")


def _read_parts(
    paths: List[Path], read: Callable[[Path], Documents], dev_share: float
) -> Dict[str, List[Doc]]:
    """Texts by the names of their files.

    RAISES ValueError: There is no file, two have the same name, or one has no labels.
    """
    if not paths:
        raise ValueError("Name the files to convert, then the output folder.")
    parts: Dict[str, List[Doc]] = {}
    for path in paths:
        if path.stem in parts:
            raise ValueError(f"{path}: there is another file named {path.stem}.")
        documents = list(read(path))
        if dev_share and not parts:
            documents, held_out = hold_out(documents, dev_share)
            parts[path.stem] = [doc for document in documents for doc in document]
            parts["dev"] = [doc for document in held_out for doc in document]
        else:
            parts[path.stem] = [doc for document in documents for doc in document]
        if not count_labels(parts[path.stem]):
            n_texts = len(parts[path.stem])
            raise ValueError(f"{path}: none of its {n_texts} texts has a label to learn.")
    return parts


def _read(path: Path, kind: Format, nlp: Language, table: Table, begin: Begin) -> Documents:
    if kind is Format.INLINE:
        return read_inline(path, nlp)
    if kind is Format.COLUMNS:
        return read_columns(path, nlp, begin)
    if kind is Format.JSONL:
        return read_json_lines(path, nlp)
    return read_table(path, nlp, table)


def _pairs(labels: Optional[str]) -> Optional[Dict[str, str]]:
    if labels is None:
        return None
    pairs = [pair.partition("=") for pair in labels.split(",")]
    if not all(separator for _, separator, _ in pairs):
        raise ValueError(f"--labels {labels}: give pairs, as in 0=negative,1=positive.")
    return {name.strip(): other.strip() for name, _, other in pairs}
