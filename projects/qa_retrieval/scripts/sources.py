"""Questions and answers from MedQuAD's XML and from JSON lines."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import smart_open

TABLES = (".jsonl", ".jsonl.gz", ".jsonl.zst")


class Pair(NamedTuple):
    """subject: What both are about; questions on the same subject stay together."""

    question: str
    answer: str
    subject: str


def read_pairs(path: Path) -> Iterator[Pair]:
    """Read all files of a folder, or one file. Pairs without an answer are left out: MedQuAD has
    taken out those that aren't free.

    RAISES ValueError: There are no files, or one is of another form.
    """
    kinds = (".xml", *TABLES)
    files = [path] if path.is_file() else sorted(path.rglob("*"))
    files = [file for file in files if file.is_file() and file.name.endswith(kinds)]
    if not files:
        raise ValueError(f"{path}: there are no files {', '.join(kinds)} here.")
    for file in files:
        for pair in _read_xml(file) if file.suffix == ".xml" else _read_lines(file):
            if pair.question and pair.answer:
                yield pair


def _read_xml(path: Path) -> Iterator[Pair]:
    """A page: Document with Focus and QAPairs/QAPair/{Question,Answer}."""
    try:
        page = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise ValueError(f"{path}: not XML: {error}") from error
    subject = _text(page.find("Focus")) or page.get("id") or path.stem
    for pair in page.iter("QAPair"):
        yield Pair(_text(pair.find("Question")), _text(pair.find("Answer")), subject)


def _text(element: "ElementTree.Element | None") -> str:
    """The text of an element in one line, "" without it."""
    return " ".join("".join(element.itertext()).split()) if element is not None else ""


def _read_lines(path: Path) -> Iterator[Pair]:
    """Objects with "answer", "question" (or "questions", a list) and "focus"."""
    with smart_open.open(path, encoding="utf-8", newline="\n") as file:
        for number, line in enumerate(file, start=1):
            try:
                row = json.loads(line)
                questions = row["questions"] if "questions" in row else [row["question"]]
                for question in questions:
                    texts = (question, row["answer"], row["focus"])
                    yield Pair(*(" ".join(text.split()) for text in texts))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise ValueError(
                    f"{path}, line {number}: no object with question, answer and focus: {error!r}"
                ) from error
