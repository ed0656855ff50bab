"""The labels of a corpus."""

from collections import Counter
from collections.abc import Iterable, Mapping

from spacy.tokens import Doc


def count_labels(docs: Iterable[Doc]) -> Counter[str]:
    """How often each entity label, each category that is true, and each relation of a parse tree
    occurs."""
    counts: Counter[str] = Counter()
    for doc in docs:
        counts.update(entity.label_ for entity in doc.ents)
        counts.update(label for label, value in doc.cats.items() if value > 0)
        if doc.has_annotation("DEP"):
            counts.update(token.dep_ for token in doc)
    return counts


def complete_labels(parts: Mapping[str, Iterable[Doc]], train: str = "train") -> None:
    """Give each text all categories of the training texts, 0 for those that aren't its own.

    parts: Texts by the name of their part.
    train: The name of the part to learn from.
    RAISES ValueError: A part has a category that training texts don't have.
    """
    labels = sorted({label for doc in parts[train] for label in doc.cats})
    for part, docs in parts.items():
        for doc in docs:
            unknown = set(doc.cats) - set(labels)
            if unknown:
                raise ValueError(
                    f"no training text has the label {min(unknown)!r} of a text in {part}: "
                    f"{doc.text[:60]!r}"
                )
            doc.cats = {label: doc.cats.get(label, 0.0) for label in labels}
