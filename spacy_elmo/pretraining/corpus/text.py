"""The registered reader of raw text: many files, one text after the other."""

import glob
import math
from pathlib import Path, PurePath
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple, Union

from spacy.language import Language
from spacy.tokens import Doc

from ...records import input_kind, no_such_file, open_input
from ...urls import is_url

Text = Union[str, List[str], Doc]
Reader = Callable[[Language], Iterator[Text]]


class TextFiles:
    """Reads texts from files, as they are asked for. Of a compressed file, one line is in memory
    at a time, of ``.spacy`` one file.

    sources: Files as ``open_input`` reads them, directories (all such files in them, at any
        depth, in the order of their names), patterns such as ``news/*.jsonl.gz``, or URLs.
    shares: How often to read the files whose names or paths match a pattern, as
        ``PurePath.match`` has it, in one pass over the corpus: 2 is twice, 0.5 every other text,
        0 not at all. The first pattern that fits a file counts; other files are read once.
    """

    def __init__(self, sources: List[str], shares: Optional[Dict[str, float]] = None) -> None:
        self.sources = sources
        self.shares = shares or {}

    def __call__(self, nlp: Language) -> Iterator[Text]:
        """nlp: Its vocabulary is that of the Docs.
        YIELDS: Texts, lists of words, or Docs.
        RAISES ValueError: There are no files, or a file is wrong; says where.
        RAISES OSError: A file can't be read.
        """
        for name, share in self.files_with_shares():
            whole, part = divmod(share, 1)
            for part_of_it in [1.0] * int(whole) + [part] * (part > 0):
                for i, record in enumerate(open_input(name, nlp.vocab).records):
                    if math.floor((i + 1) * part_of_it) > math.floor(i * part_of_it):
                        yield record.value

    def files(self) -> List[str]:
        """The paths and URLs that are read.

        RAISES ValueError, OSError: As ``files_with_shares``.
        """
        return [name for name, _ in self.files_with_shares()]

    def files_with_shares(self) -> List[Tuple[str, float]]:
        """The paths and URLs that are read, and how often each is.

        RAISES ValueError: A source stands for no file, a file is of no kind that can be read, or a
            share is below 0 or of no file.
        RAISES OSError: There is no such file.
        """
        names = [name for source in self.sources for name in _find_files(source)]
        for name in names:
            input_kind(name)  # errors now, not when the files before it have been read
        for pattern, share in self.shares.items():
            if not 0 <= share < math.inf:
                raise ValueError(f"The share of {pattern} is {share}: it can't be below 0.")
            if not any(PurePath(name).match(pattern) for name in names):
                raise ValueError(
                    f"There is a share of {pattern}, but no such file among the texts: "
                    f"{', '.join(names)}"
                )
        shares = [
            next((s for pattern, s in self.shares.items() if PurePath(name).match(pattern)), 1.0)
            for name in names
        ]
        return [(name, share) for name, share in zip(names, shares, strict=True) if share > 0]

    def fingerprint(self) -> List[Dict[str, Any]]:
        """What tells these texts from others, as JSON: the files' paths, sizes and times of
        change, or only a URL; and shares that aren't 1."""
        return [
            _fingerprint(name) | ({} if share == 1 else {"share": share})
            for name, share in self.files_with_shares()
        ]


def configure_text(
    path: Union[str, List[str]], shares: Optional[Dict[str, float]] = None
) -> Reader:
    """Texts from files: ``.txt`` (each line is a text), ``.jsonl`` (each line has the key "text",
    or "tokens" with a list of words), both also compressed (.gz, .bz2, .xz, .zst), or ``.spacy``.

    path (Union[str, List[str]]): Files, directories, patterns (``news/*.jsonl.gz``) or URLs.
    shares (Optional[Dict[str, float]]): How often files are read in an epoch, by patterns of their
        names, such as ``{"news.*": 2, "law/*.txt": 0.5}``; null for everything once.
    """
    return TextFiles([path] if isinstance(path, str) else path, shares)


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
        raise no_such_file(source)
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
