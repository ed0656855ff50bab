"""``.spacy`` files."""

from collections.abc import Iterable
from pathlib import Path

from spacy.tokens import Doc, DocBin
from spacy.vocab import Vocab

from ...formats.files import replacing


def write_docs(docs: Iterable[Doc], path: Path) -> None:
    """Write a file.

    docs: Their user data is written if any of them has some: to read it takes a millisecond a Doc,
        even if it is empty, and training reads a corpus several times.
    """
    docs = list(docs)
    has_user_data = any(doc.user_data for doc in docs)
    with replacing(path) as temporary:
        DocBin(docs=docs, store_user_data=has_user_data).to_disk(temporary)


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
