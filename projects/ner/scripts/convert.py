"""Convert text with inline entities, `[Ada Lovelace](PERSON)`, into spaCy's binary format."""

import re
from collections import Counter
from pathlib import Path
from typing import List

import spacy
import typer
from spacy.language import Language
from spacy.tokens import Doc, DocBin
from wasabi import msg

ENTITY = re.compile(r"\[([^\[\]]+)\]\((\w+)\)")


def main(
    inputs: List[Path] = typer.Argument(..., exists=True, help="Text files, one text a line"),
    output: Path = typer.Argument(..., help="Directory for the .spacy files"),
) -> None:
    """Convert annotated text files into .spacy files of the same names."""
    nlp = spacy.blank("en")
    for path in inputs:
        save(read_docs(nlp, path), output / f"{path.stem}.spacy")


def read_docs(nlp: Language, path: Path) -> List[Doc]:
    """Read a file; empty lines are skipped. Errors name the file and the line."""
    docs = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            if line.strip():
                docs.append(parse(nlp, line.decode("utf8").strip()))
        except ValueError as error:
            msg.fail(f"{path}, line {number}", error, exits=1)
    return docs


def parse(nlp: Language, line: str) -> Doc:
    """Take the markup out of a line and set the entities.

    RAISES ValueError: Brackets are left over, or an entity isn't made of whole tokens.
    """
    text, entities, end = "", [], 0
    for match in ENTITY.finditer(line):
        text += line[end : match.start()]
        entities.append((len(text), len(text) + len(match[1]), match[2]))
        text += match[1]
        end = match.end()
    text += line[end:]
    if "[" in text or "]" in text:
        raise ValueError(f"Square brackets are only for entities, [text](LABEL): {line}")
    doc = nlp(text)
    spans = []
    for start, stop, label in entities:
        span = doc.char_span(start, stop, label=label)
        if span is None or span.text != span.text.strip():
            tokens = doc.char_span(start, stop, alignment_mode="expand")
            raise ValueError(
                f"'{text[start:stop]}' isn't made of whole words: "
                f"the tokens are {', '.join(repr(token.text) for token in tokens)}"
            )
        spans.append(span)
    doc.ents = spans
    return doc


def save(docs: List[Doc], path: Path) -> None:
    """Write a .spacy file, and print what is in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    DocBin(docs=docs).to_disk(path)
    labels = Counter(entity.label_ for doc in docs for entity in doc.ents)
    counts = ", ".join(f"{n} {label}" for label, n in sorted(labels.items()))
    msg.good(f"{path}: {len(docs)} texts, {counts}")


if __name__ == "__main__":
    typer.run(main)
