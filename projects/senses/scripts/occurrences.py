"""Occurrences of words with several senses: a JSON line for each, with the sentence's tokens."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import List


@dataclass(frozen=True)
class Occurrence:
    """word: A word with several senses.
    sense: The one that it has here.
    tokens: Of the sentence.
    index: Where the word stands in them."""

    word: str
    sense: str
    tokens: List[str]
    index: int


def write_occurrences(occurrences: Iterable[Occurrence], path: Path) -> None:
    """Write a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    lines = (f"{json.dumps(asdict(occurrence))}\n" for occurrence in occurrences)
    temporary.write_text("".join(lines), encoding="utf-8")
    temporary.replace(path)


def read_occurrences(path: Path) -> List[Occurrence]:
    """Read a file that 'write_occurrences' has written."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [Occurrence(**json.loads(line)) for line in lines]
