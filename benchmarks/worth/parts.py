"""A data set as three ``.spacy`` files, and shares of its training part."""

from pathlib import Path

import spacy

from spacy_elmo.projects.corpora import split
from spacy_elmo.projects.corpora.binary import read_docs, write_docs
from spacy_elmo.projects.corpora.labels import complete_labels
from worth.sets import DataSet

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
            documents["train"], documents["dev"] = split.hold_out(documents["train"])
        texts = {part: [doc for docs in documents[part] for doc in docs] for part in paths}
        complete_labels(texts)
        for part, path in paths.items():
            write_docs(texts[part], path)
    return paths


def draw(train: Path, share: float, seed: int) -> Path:
    """Choose training texts at random, in their order; the choice is that of the seed.

    share: How many of them, 1 for all.
    RETURNS: Their file, beside that of all.
    RAISES ValueError: There would be none.
    """
    path = train.with_name(f"{train.stem}-{share:g}-{seed}.spacy")
    if share == 1 or path.exists():
        return train if share == 1 else path
    write_docs(split.draw(read_docs(train, spacy.blank("en").vocab), share, seed), path)
    return path
