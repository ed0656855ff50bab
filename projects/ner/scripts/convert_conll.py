"""Convert CoNLL columns, `word<tab>B-person`, into spaCy's binary format. `spacy convert` isn't
up to WNUT17, where sentences end at lines that hold a tab."""

import re
from pathlib import Path
from typing import Iterator, List, Tuple

import spacy
import typer
from convert import save
from spacy.tokens import Doc
from spacy.vocab import Vocab
from wasabi import msg

ROW = re.compile(r"(\S+)\t(O|[BI]-\S+)")


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
    rows: List[Tuple[str, ...]] = []
    lines = path.read_text(encoding="utf8").split("\n")
    for number, line in enumerate([*lines, ""], start=1):
        if line.strip():
            match = ROW.fullmatch(line)
            if match is None:
                msg.fail(f"{path}, line {number}", f"Not a word, a tab and a tag: {line}", exits=1)
            rows.append(match.groups())
        elif rows:
            words, tags = zip(*rows, strict=True)
            yield Doc(vocab, words=words, ents=tags)
            rows = []


if __name__ == "__main__":
    typer.run(main)
