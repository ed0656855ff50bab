"""Read questions and answers, and divide the questions into parts that share no subject."""

import random
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Dict, List, Set

import typer
from collection import PARTS, Collection, Question
from sources import Pair, read_pairs
from wasabi import msg


def main(
    source: Path = typer.Argument(..., exists=True, help="JSON lines, XML, or a folder of them"),
    output: Path = typer.Argument(..., help="Folder for the collection"),
    dev: float = typer.Option(0.15, min=0.01, max=0.5, help="Share of subjects for development"),
    test: float = typer.Option(0.15, min=0.01, max=0.5, help="Share of subjects for testing"),
) -> None:
    """Write a collection."""
    try:
        collection = divide(read_pairs(source), dev, test)
    except (ValueError, OSError, ImportError) as error:
        msg.fail("Can't read", str(error), exits=1)
    collection.write(output)
    counts = ", ".join(f"{len(collection.of_part(part)):,} {part}" for part in PARTS)
    msg.good(f"{output}: {len(collection.answers):,} answers; questions: {counts}")


def divide(pairs: Iterable[Pair], dev: float, test: float) -> Collection:
    """Questions go by their subject, so that whoever learns from one part has met neither the
    answers nor the names of another. Equal questions are one, equal answers, too; where either
    joins two subjects, these stay together.

    RAISES ValueError: There are too few subjects.
    """
    texts: Dict[str, int] = {}
    right: Dict[str, Set[int]] = defaultdict(set)
    subjects = Groups()
    for pair in pairs:
        answer = texts.setdefault(pair.answer, len(texts))
        right[pair.question].add(answer)
        subjects.join(f"subject {pair.subject.lower()}", f"answer {answer}")
        subjects.join(f"question {pair.question.lower()}", f"answer {answer}")
    names = sorted({subjects.find(f"question {text.lower()}") for text in right})
    random.Random(0).shuffle(names)
    n_test, n_dev = round(test * len(names)), round(dev * len(names))
    if not 0 < n_test + n_dev < len(names) or not n_test or not n_dev:
        raise ValueError(f"{len(names)} subjects are too few to be divided.")
    parts = {
        name: "test" if i < n_test else "dev" for i, name in enumerate(names[: n_test + n_dev])
    }
    questions = [
        Question(text, parts.get(subjects.find(f"question {text.lower()}"), "train"), sorted(found))
        for text, found in right.items()
    ]
    return Collection(list(texts), questions)


class Groups:
    """Names that were joined, directly or by others."""

    def __init__(self) -> None:
        self._above: Dict[str, str] = {}

    def find(self, name: str) -> str:
        """The name that stands for a group."""
        path: List[str] = []
        while name in self._above:
            path.append(name)
            name = self._above[name]
        self._above.update((other, name) for other in path)
        return name

    def join(self, one: str, other: str) -> None:
        """Make one group of two."""
        first, second = sorted((self.find(one), self.find(other)))
        if first != second:
            self._above[second] = first


if __name__ == "__main__":
    typer.run(main)
