"""A collection: answers, and questions that they belong to. Two files of JSON lines in a folder."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Dict, List

from spacy_elmo.formats.files import replacing

PARTS = ("train", "dev", "test")


@dataclass(frozen=True)
class Question:
    """text: As it is asked.
    part: Of the questions: "train", "dev" or "test".
    answers: The numbers of all answers that are right."""

    text: str
    part: str
    answers: List[int]


@dataclass(frozen=True)
class Collection:
    """answers: Their texts; a question knows them by their place in this list.
    questions: Of all parts."""

    answers: List[str]
    questions: List[Question]

    def of_part(self, part: str) -> List[Question]:
        """The questions of a part."""
        return [question for question in self.questions if question.part == part]

    def write(self, folder: Path) -> None:
        """Write the two files."""
        _write(({"text": text} for text in self.answers), folder / "answers.jsonl")
        _write(map(asdict, self.questions), folder / "questions.jsonl")


def read_collection(folder: Path) -> Collection:
    """Read what 'Collection.write' has written.

    RAISES ValueError: A file is missing or of another form.
    """
    try:
        answers = [row["text"] for row in _read(folder / "answers.jsonl")]
        questions = [Question(**row) for row in _read(folder / "questions.jsonl")]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{folder}: no collection by prepare.py: {error!r}") from error
    return Collection(answers, questions)


def _write(rows: Iterable[Dict[str, object]], path: Path) -> None:
    with replacing(path) as temporary:
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        temporary.write_text("".join(lines), encoding="utf-8")


def _read(path: Path) -> List[Dict]:
    # Not splitlines(): it also breaks at characters that JSON leaves as they are.
    with path.open(encoding="utf-8", newline="\n") as file:
        return [json.loads(line) for line in file]
