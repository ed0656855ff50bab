"""The registered reader of raw text: many files, one text after the other."""

import errno
import glob
import os
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Union

from spacy.language import Language
from spacy.tokens import Doc

from ..records import input_kind, open_input
from ..urls import is_url

Text = Union[str, List[str], Doc]
Reader = Callable[[Language], Iterator[Text]]


class TextFiles:
    """Reads texts from files, as they are asked for. Of a compressed file, one line is in memory
    at a time, of ``.spacy`` one file.

    sources: Files as ``open_input`` reads them, directories (all such files in them, at any
        depth, in the order of their names), patterns such as ``news/*.jsonl.gz``, or URLs.
    """

    def __init__(self, sources: List[str]) -> None:
        self.sources = sources

    def __call__(self, nlp: Language) -> Iterator[Text]:
        """nlp: Its vocabulary is that of the Docs.
        YIELDS: Texts, lists of words, or Docs.
        RAISES ValueError: There are no files, or a file is wrong; says where.
        RAISES OSError: A file can't be read.
        """
        for name in self.files():
            for record in open_input(name, nlp.vocab).records:
                yield record.value

    def files(self) -> List[str]:
        """The paths and URLs that are read.

        RAISES ValueError: A source stands for no file, or a file is of no kind that can be read.
        RAISES OSError: There is no such file.
        """
        names = [name for source in self.sources for name in _find_files(source)]
        for name in names:
            input_kind(name)  # errors now, not when the files before it have been read
        return names

    def fingerprint(self) -> List[Dict[str, Any]]:
        """What tells these texts from others, as JSON: the files' paths, sizes and times of
        change, or only a URL."""
        return [_fingerprint(name) for name in self.files()]


def configure_text(path: Union[str, List[str]]) -> Reader:
    """Texts from files: ``.txt`` (each line is a text), ``.jsonl`` (each line has the key "text",
    or "tokens" with a list of words), both also compressed (.gz, .bz2, .xz, .zst), or ``.spacy``.

    path (Union[str, List[str]]): Files, directories, patterns (``news/*.jsonl.gz``) or URLs.
    """
    return TextFiles([path] if isinstance(path, str) else path)


def _find_files(source: str) -> List[str]:
    if is_url(source):
        return [source]
    path = Path(source)
    if path.is_dir():
        found = [file for file in sorted(path.rglob("*")) if _is_input(file)]
        if not found:
            raise ValueError(f"{source}: there are no files with texts in this directory.")
    elif path.exists():
        found = [path]
    elif not glob.has_magic(source):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), source)
    else:
        found = [Path(name) for name in sorted(glob.glob(source, recursive=True))]
        found = [file for file in found if file.is_file()]
        if not found:
            raise ValueError(f"{source}: no file has such a name.")
    return [str(file) for file in found]


def _is_input(path: Path) -> bool:
    try:
        input_kind(str(path))
    except ValueError:
        return False
    return path.is_file()


def _fingerprint(name: str) -> Dict[str, Any]:
    if is_url(name):
        return {"name": name}
    about = Path(name).stat()
    return {
        "name": str(Path(name).resolve()),
        "size": about.st_size,
        "changed": about.st_mtime_ns,
    }
