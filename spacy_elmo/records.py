"""Reads inputs record by record: text, JSON lines and spaCy's binary Docs."""

import json
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Iterator, List, NamedTuple, Optional, Tuple, Union
from urllib.parse import urlsplit

import smart_open
from spacy.tokens import Doc, DocBin
from spacy.vocab import Vocab

from .urls import check_url, is_url, shown, without_secrets

KINDS = (".txt", ".jsonl", ".spacy")
COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst")
_FIRST_BYTES = {b"\x1f\x8b": ".gz", b"BZh": ".bz2", b"\xfd7zXZ": ".xz", b"(\xb5/\xfd": ".zst"}


class Record(NamedTuple):
    """What becomes one Doc.

    where: File and line (or number), for errors.
    content: What tells this record from another one, for noticing that an input was changed.
    value: A text, its words, or the Doc itself.
    """

    where: str
    content: bytes
    value: Union[str, List[str], Doc]


class Corpus(NamedTuple):
    """An input.

    records: Read one after the other, as they are asked for.
    n_words: Words of all records, where that is known beforehand.
    is_streamed: Whether the records are not in memory already.
    """

    records: Iterator[Record]
    n_words: Optional[int]
    is_streamed: bool


def input_kind(source: str) -> Tuple[str, str]:
    """What an input is, by its name.

    source: A path or a URL.
    RETURNS: The suffix of its kind, and that of its compression or "".
    RAISES ValueError: The kind is unknown, or it is a URL of another kind than ``check_url`` lets
        pass.
    """
    if is_url(source):
        check_url(source)
    name = Path(urlsplit(source).path if is_url(source) else source)
    kind, compression = name.suffix, ""
    if kind in COMPRESSIONS:
        kind, compression = name.with_suffix("").suffix, kind
    if kind not in KINDS or (kind == ".spacy" and compression):
        raise ValueError(
            f"{shown(source)}: the name of an input ends in .txt, .jsonl or .spacy; the first two "
            f"may be compressed ({', '.join(COMPRESSIONS)})."
        )
    return kind, compression


def open_input(source: Union[str, Path], vocab: Vocab) -> Corpus:
    """Open an input. Its kind goes by the suffix, before which may come that of a compression.

    source: A path, or a URL that ``check_url`` lets pass. ``.txt``: each line is a Doc, an empty
        line an empty one. ``.jsonl``: each line that isn't blank is an object with "tokens" (a list
        of words) or "text". ``.spacy``: a DocBin, which spaCy can only load as a whole.
    vocab: Of the pipeline that will process the Docs.
    RAISES ValueError: The kind is unknown, or (later) a record is wrong.
    RAISES OSError: There is no such file.
    RAISES ImportError: (Later, too.) The compression or the URL needs a package that is missing.
    """
    source = str(source)
    kind, compression = input_kind(source)
    if not is_url(source) and not Path(source).exists():
        raise no_such_file(source)
    if kind == ".spacy":
        return _read_docbin(source, vocab)
    if not is_url(source):
        with open(source, "rb"):  # errors of missing files now, not when the biLM has been loaded
            pass
    lines = _read_lines(source, compression)
    return Corpus(lines if kind == ".txt" else _json_records(lines), None, True)


def no_such_file(source: str) -> FileNotFoundError:
    """The error for a path of texts at which there is nothing."""
    return FileNotFoundError(
        f"No such file or directory: {Path(source).absolute()}. Check the path of the texts; a "
        "relative one begins at the current directory."
    )


def _read_lines(source: str, compression: str) -> Iterator[Record]:
    """The lines of a text file as they are, without their ends."""
    n, name = 0, shown(source)
    try:
        with _open(source, compression) as file:
            for n, line in enumerate(file, 1):
                where = f"{name}, line {n}"
                content = line.rstrip(b"\r\n")
                try:
                    text = content.decode("utf-8-sig" if n == 1 else "utf-8")
                except UnicodeDecodeError as error:
                    hint = _compression_hint(content) if n == 1 else ""
                    raise ValueError(f"{where}: not UTF-8: {error}{hint}") from error
                yield Record(where, content, text)
    except (ValueError, ImportError):  # from above
        raise
    except Exception as error:  # damaged or cut files; each compression has its own errors
        reason = without_secrets(str(error))
        raise ValueError(f"{name}, after line {n}: can't be read on: {reason}") from None


def _compression_hint(content: bytes) -> str:
    for start, compression in _FIRST_BYTES.items():
        if content.startswith(start):
            return f". It looks compressed: is {compression} missing at the end of its name?"
    return ""


def _open(source: str, compression: str = "") -> BinaryIO:
    """RAISES ImportError: A package is missing; says which."""
    try:
        return smart_open.open(source, "rb", compression=compression or "disable")
    except ImportError as error:
        hint = str(error)
        if compression == ".zst" and "smart_open[" not in hint:  # says what a URL needs
            hint = f"reading .zst needs another package: pip install 'spacy-elmo[zst]' ({hint})"
        raise ImportError(f"{shown(source)}: {hint}") from error


def _json_records(lines: Iterator[Record]) -> Iterator[Record]:
    for where, content, line in lines:
        assert isinstance(line, str)
        if line.strip():
            yield Record(where, content, _text_or_words(line, where))


def _text_or_words(line: str, where: str) -> Union[str, List[str]]:
    try:
        entry = json.loads(line)
    except ValueError as error:
        raise ValueError(f"{where}: not JSON: {error}") from error
    if not isinstance(entry, dict) or not entry.keys() & {"text", "tokens"}:
        raise ValueError(
            f'{where}: expected an object with the key "text" or "tokens", got {line.strip():.80}'
        )
    if "tokens" not in entry:
        if not isinstance(entry["text"], str):
            raise ValueError(f'{where}: "text" is not a string.')
        _check_unicode(entry["text"], where)
        return entry["text"]
    words = entry["tokens"]
    if not isinstance(words, list) or not all(isinstance(word, str) and word for word in words):
        raise ValueError(f'{where}: "tokens" is not a list of strings that are not empty.')
    _check_unicode(" ".join(words), where)
    return words


def _check_unicode(text: str, where: str) -> None:
    """RAISES ValueError: The text has half of a surrogate pair, as JSON may and spaCy doesn't."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(f"{where}: not Unicode: {error}") from error


def _read_docbin(source: str, vocab: Vocab) -> Corpus:
    name = shown(source)
    try:
        with _open(source) as file:
            data = file.read()
    except ImportError:
        raise
    except Exception as error:  # a connection that was cut has errors of its own
        if isinstance(error, OSError) and not is_url(source):
            raise
        raise ValueError(f"{name}: can't be read: {without_secrets(str(error))}") from None
    content = sha256(data).digest()
    try:
        docs = DocBin().from_bytes(data)
    except Exception as error:  # whatever msgpack and NumPy make of bytes that aren't theirs
        raise ValueError(f"{name}: not a DocBin: {error}") from error
    records = (
        Record(f"{name}, Doc {n}", content, doc) for n, doc in enumerate(docs.get_docs(vocab), 1)
    )
    return Corpus(records, sum(len(tokens) for tokens in docs.tokens), False)
