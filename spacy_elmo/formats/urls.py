"""URLs of remote files: their parts, their checksums, and where the cache keeps what they name."""

import hashlib
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Optional

from .cache import cache_directory

# A scheme of one letter is a drive. fsspec chains URLs with "::" (zip://inner::https://outer); in
# a chain, folder and name are those of the first part that has any.
_SCHEME = r"(?:\w+::)*[A-Za-z][\w+.-]+://"
_URL = re.compile(
    rf"(?P<folder>{_SCHEME}(?:(?:(?!::)[^?])*/)?)(?P<name>(?:(?!::)[^?/])*)(?P<rest>(?:\?|::).*)?",
    re.DOTALL,
)


def is_url(source: str) -> bool:
    """Whether a source is a URL (``scheme://…``) rather than a name or a path."""
    return re.match(_SCHEME, source) is not None


@dataclass(frozen=True)
class Url:
    """The parts of a URL: ``<folder><name><rest>#sha256=<sha256>``.

    folder: Up to the last slash of the path, with it.
    name: The path's last part; empty for a directory with a slash at its end.
    rest: The query, or the outer URLs of a chain.
    sha256: The file's checksum, if the URL gives one.
    """

    folder: str
    name: str
    rest: str = ""
    sha256: Optional[str] = None

    @classmethod
    def parse(cls, text: str) -> "Url":
        """text: A URL as ``is_url`` knows it, with or without ``#sha256=…`` at its end.
        RAISES ValueError: The checksum isn't one, or something else stands at the end."""
        address, given, checksum = text.partition("#sha256=")
        if given and not re.fullmatch("[0-9A-Fa-f]{64}", checksum):
            where = _without_credentials(text)
            raise ValueError(f"{where}: sha256 is not a checksum of 64 hexadecimal digits.")
        if "#" in address:
            where = _without_credentials(text)
            raise ValueError(f"{where}: after '#', only 'sha256=' and a file's checksum may stand.")
        match = _URL.fullmatch(address)
        assert match is not None, "a URL"
        return cls(match["folder"], match["name"], match["rest"] or "", checksum.lower() or None)

    @property
    def address(self) -> str:
        """What is asked for: the URL without its checksum."""
        return f"{self.folder}{self.name}{self.rest}"

    @property
    def schemes(self) -> list[str]:
        """The schemes of a chain, or the only one."""
        return [part.partition("://")[0] for part in self.address.split("::")]

    @property
    def place(self) -> Path:
        """The cache's directory for the file. Files that lie together share one, unless one of
        them has a checksum: what lies in its directory has been checked."""
        identity = f"{self.folder}\n{self.rest}\n{self.sha256}"
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
        return Url(folder, name, self.rest)

    def __str__(self) -> str:
        """For messages: the address without ``user:secret@``."""
        return _without_credentials(self.address)


def _without_credentials(address: str) -> str:
    return re.sub("(?<=://)[^/?]*@", "", address)


def _as_file_name(text: str) -> str:
    """A name that every file system takes, that is no path, and not hidden."""
    return re.sub(r"[^\w.-]", "_", text, flags=re.ASCII).lstrip(".") or "file"
