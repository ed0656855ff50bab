"""URLs of remote files: their parts, their checksums, and where the cache keeps what they name."""

import hashlib
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Optional

from ..urls import SCHEME, check_url, shown
from .cache import cache_directory

_URL = re.compile(
    rf"(?P<folder>{SCHEME}(?:[^?]*/)?)(?P<name>[^?/]*)(?P<query>\?.*)?",
    re.DOTALL,
)


@dataclass(frozen=True)
class Url:
    """The parts of a URL: ``<folder><name><query>#sha256=<sha256>``.

    folder: Up to the last slash of the path, with it.
    name: The path's last part; empty for a directory with a slash at its end.
    query: With its question mark; empty if there is none.
    sha256: The file's checksum, if the URL gives one.
    """

    folder: str
    name: str
    query: str = ""
    sha256: Optional[str] = None

    @classmethod
    def parse(cls, text: str) -> "Url":
        """text: A URL as ``is_url`` knows it, with or without ``#sha256=…`` at its end.
        RAISES ValueError: Its scheme isn't one of ``SCHEMES``, it is a chain, the checksum isn't
            one, or something else stands at the end."""
        address, given, checksum = text.partition("#sha256=")
        check_url(address)
        where = shown(address.partition("#")[0])
        if given and not re.fullmatch("[0-9A-Fa-f]{64}", checksum):
            raise ValueError(f"{where}: sha256 is not a checksum of 64 hexadecimal digits.")
        if "#" in address:
            raise ValueError(f"{where}: after '#', only 'sha256=' and a file's checksum may stand.")
        match = _URL.fullmatch(address)
        assert match is not None, "a URL"
        return cls(match["folder"], match["name"], match["query"] or "", checksum.lower() or None)

    @property
    def address(self) -> str:
        """What is asked for: the URL without its checksum."""
        return f"{self.folder}{self.name}{self.query}"

    @property
    def scheme(self) -> str:
        """One of ``SCHEMES``."""
        return self.folder.partition("://")[0]

    @property
    def place(self) -> Path:
        """The cache's directory for the file. Files that lie together share one, unless one of
        them has a checksum: what lies in its directory has been checked."""
        identity = f"{self.folder}\n{self.query}\n{self.sha256}"
        last = self.folder.rstrip("/").rsplit("/", 1)[-1].rsplit("@", 1)[-1]
        digest = hashlib.sha256(identity.encode()).hexdigest()[:12]
        return cache_directory() / f"{_as_file_name(last)[:60]}-{digest}"

    @property
    def file_name(self) -> str:
        """The name that the file has in the cache: its own, or if that can't be, one that no
        other name is turned into."""
        name = _as_file_name(self.name)
        if name == self.name and len(name) <= 100:
            return name
        digest = hashlib.sha256(self.name.encode()).hexdigest()[:12]
        return f"{digest}-{name[-87:]}"

    def beside(self, name: str) -> "Url":
        """The URL of another file in the same place. It has no checksum."""
        return replace(self, name=name, sha256=None)

    def inside(self, name: str) -> "Url":
        """The URL of a file in the directory that this URL names."""
        folder = f"{self.folder}{self.name}/" if self.name else self.folder
        return Url(folder, name, self.query)

    def __str__(self) -> str:
        """For messages: the address without secrets."""
        return shown(self.address)

    __repr__ = __str__


def _as_file_name(text: str) -> str:
    """A name that every file system takes, that is no path, and not hidden."""
    return re.sub(r"[^\w.-]", "_", text, flags=re.ASCII).lstrip(".") or "file"
