"""What ``python -m spacy elmo embed`` reads: text, JSON lines and spaCy's binary Docs."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Iterator, List, NamedTuple, Optional, Union

import smart_open
from spacy.tokens import Doc, DocBin
from spacy.vocab import Vocab

COMPRESSIONS = (".gz", ".bz2", ".zst")


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


def open_input(path: Path, vocab: Vocab) -> Corpus:
    """Open an input. Its kind goes by the suffix, before which may come that of a compression.

    path: ``.txt``: each line is a Doc, an empty line an empty one. ``.jsonl``: each line that
        isn't blank is an object with "tokens" (a list of words) or "text". ``.spacy``: a DocBin,
        which spaCy can only load as a whole.
    vocab: Of the pipeline that will process the Docs.
    RAISES ValueError: The kind is unknown, or (later) a record is wrong.
    RAISES OSError: There is no such file.
    """
    kind, compression = path.suffix, ""
    if kind in COMPRESSIONS:
        kind, compression = path.with_suffix("").suffix, kind
    if kind == ".spacy" and not compression:
        return _read_docbin(path, vocab)
    if kind not in (".txt", ".jsonl"):
        raise ValueError(
            f"{path}: the name of an input ends in .txt, .jsonl or .spacy; the first two may be "
            f"compressed ({', '.join(COMPRESSIONS)})."
        )
    with path.open("rb"):  # errors of missing files now, not when the biLM has been loaded
        pass
    lines = _read_lines(path)
    return Corpus(lines if kind == ".txt" else _json_records(lines), None, True)


def _read_lines(path: Path) -> Iterator[Record]:
    """The lines of a text file as they are, without their ends."""
    n = 0
    try:
        with smart_open.open(path, "rb") as file:
            for n, line in enumerate(file, 1):
                where = f"{path}, line {n}"
                content = line.rstrip(b"\r\n")
                try:
                    text = content.decode("utf-8-sig" if n == 1 else "utf-8")
                except UnicodeDecodeError as error:
                    raise ValueError(f"{where}: not UTF-8: {error}") from error
                yield Record(where, content, text)
    except ImportError as error:
        raise ImportError(
            f"{path}: reading {path.suffix} needs another package: "
            f"pip install 'spacy-elmo[{path.suffix[1:]}]' ({error})"
        ) from error
    except ValueError:  # from above
        raise
    except Exception as error:  # damaged or cut files; each compression has its own errors
        raise ValueError(f"{path}, after line {n}: can't be read on: {error}") from error


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
        return entry["text"]
    words = entry["tokens"]
    if not isinstance(words, list) or not all(isinstance(word, str) and word for word in words):
        raise ValueError(f'{where}: "tokens" is not a list of strings that are not empty.')
    return words


def _read_docbin(path: Path, vocab: Vocab) -> Corpus:
    data = path.read_bytes()
    content = sha256(data).digest()
    try:
        docs = DocBin().from_bytes(data)
    except Exception as error:  # whatever msgpack and NumPy make of bytes that aren't theirs
        raise ValueError(f"{path}: not a DocBin: {error}") from error
    records = (
        Record(f"{path}, Doc {n}", content, doc) for n, doc in enumerate(docs.get_docs(vocab), 1)
    )
    return Corpus(records, sum(len(tokens) for tokens in docs.tokens), False)
