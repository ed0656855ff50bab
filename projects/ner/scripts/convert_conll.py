"""Convert CoNLL columns, `word<tab>B-person`, into spaCy's binary format. `spacy convert` isn't
up to WNUT17, where sentences end at lines that hold a tab."""

from pathlib import Path
from typing import Iterator, List, Tuple

import spacy
import typer
from convert import save
from spacy.tokens import Doc
from spacy.vocab import Vocab
from wasabi import msg

TAGS = ("O", "B-", "I-")


def main(
    inputs: List[Path] = typer.Argument(..., exists=True, help="CoNLL files"),
    output: Path = typer.Argument(..., help="Directory for the .spacy files"),
) -> None:
    """Convert CoNLL files into .spacy files of the same names, one sentence a text."""
    vocab = spacy.blank("en").vocab
    for path in inputs:
        save(list(read_docs(vocab, path)), output / f"{path.stem}.spacy")


def read_docs(vocab: Vocab, path: Path) -> Iterator[Doc]:
    """Read a file's sentences. Errors name the file and the line."""
    rows: List[Tuple[str, str]] = []
    lines = path.read_text(encoding="utf8").split("\n")
    for number, line in enumerate([*lines, ""], start=1):
        if line.strip():
            columns = line.split("\t")
            if len(columns) != 2 or not columns[0].strip() or columns[1][:2] not in TAGS:
                msg.fail(f"{path}, line {number}", f"Not a word and a tag: {line!r}", exits=1)
            rows.append((columns[0], columns[1].strip()))
        elif rows:
            words, tags = zip(*rows)
            yield Doc(vocab, words=words, ents=tags)
            rows = []


if __name__ == "__main__":
    typer.run(main)
