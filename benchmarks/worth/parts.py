"""A data set as three ``.spacy`` files, and shares of its training part."""

import random
from pathlib import Path

import spacy
from spacy.tokens import Doc, DocBin

from worth.sets import DataSet

HELD_OUT = 0.1  # of the training texts, where there are none for development
SEED = 0  # of what is held out: always the same

Paths = dict[str, Path]


def convert(data_set: DataSet, data: Path, output: Path) -> Paths:
    """Read a data set and write its parts, unless they are there.

    data: The directory of all data.
    output: Where the files go.
    RETURNS: The files of train, dev and test.
    RAISES FileNotFoundError: The data set isn't there.
    RAISES ValueError: A part has a label that training data don't have.
    """
    paths = {part: output / f"{part}.spacy" for part in ("train", "dev", "test")}
    if not all(path.exists() for path in paths.values()):
        documents = {part: list(data_set.read(path)) for part, path in data_set.paths(data).items()}
        if "dev" not in documents:
            documents["train"], documents["dev"] = hold_out(documents["train"])
        texts = {part: [doc for docs in documents[part] for doc in docs] for part in paths}
        _complete_labels(texts, data_set.name)
        for part, path in paths.items():
            _write(texts[part], path)
    return paths


def hold_out(documents: list[list[Doc]]) -> tuple[list[list[Doc]], list[list[Doc]]]:
    """Choose whole documents with about ``HELD_OUT`` of the texts together, twice that at most,
    unless all documents are longer.

    RETURNS: The others and the chosen ones, each in their order.
    """
    order = list(range(len(documents)))
    random.Random(SEED).shuffle(order)
    wanted = HELD_OUT * sum(map(len, documents))
    chosen: set[int] = set()
    n_texts = 0
    for i in order:
        if n_texts < wanted and n_texts + len(documents[i]) <= 2 * wanted:
            chosen.add(i)
            n_texts += len(documents[i])
    if not chosen:
        chosen.add(min(order, key=lambda i: len(documents[i])))
    kept = [document for i, document in enumerate(documents) if i not in chosen]
    return kept, [documents[i] for i in sorted(chosen)]


def draw(train: Path, share: float, seed: int) -> Path:
    """Choose training texts at random, in their order; the choice is that of the seed.

    share: How many of them, 1 for all.
    RETURNS: Their file, beside that of all.
    RAISES ValueError: There would be none.
    """
    path = train.with_name(f"{train.stem}-{share:g}-{seed}.spacy")
    if share == 1 or path.exists():
        return train if share == 1 else path
    docs = list(DocBin().from_disk(train).get_docs(spacy.blank("en").vocab))
    n = round(share * len(docs))
    if n < 1:
        raise ValueError(f"A share of {share} of the {len(docs)} texts in {train} is none.")
    chosen = sorted(random.Random(seed).sample(range(len(docs)), n))
    _write([docs[i] for i in chosen], path)
    return path


def _complete_labels(texts: dict[str, list[Doc]], name: str) -> None:
    """Give each text all labels of the training texts, 0 for those that aren't its own."""
    labels = sorted({label for doc in texts["train"] for label in doc.cats})
    for part, docs in texts.items():
        for doc in docs:
            if not set(doc.cats) <= set(labels):
                raise ValueError(f"{name}: no training text has the label {doc.cats} of a {part}.")
            doc.cats = {label: doc.cats.get(label, 0.0) for label in labels}


def _write(docs: list[Doc], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    DocBin(docs=docs, store_user_data=True).to_disk(temporary)
    temporary.replace(path)
