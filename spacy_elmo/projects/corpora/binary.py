"""``.spacy`` files."""

from collections.abc import Iterable
from pathlib import Path

from spacy.tokens import Doc, DocBin
from spacy.vocab import Vocab

from ...formats.files import replacing


def write_docs(docs: Iterable[Doc], path: Path) -> None:
    """Write a file."""
    with replacing(path) as temporary:
        DocBin(docs=docs, store_user_data=True).to_disk(temporary)


def read_docs(path: Path, vocab: Vocab) -> list[Doc]:
    """Read a file.

    RAISES ValueError: It is none, or it isn't there.
    """
    try:
        return list(DocBin().from_disk(path).get_docs(vocab))
    except FileNotFoundError as error:
        raise ValueError(f"{path}: there is no such file.") from error
    except Exception as error:  # whatever msgpack and NumPy make of bytes that aren't theirs
        raise ValueError(f"{path}: not a .spacy file: {error}") from error
