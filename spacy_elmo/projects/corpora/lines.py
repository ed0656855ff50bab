"""Lines of text files, with their numbers for errors."""

from collections.abc import Iterator
from pathlib import Path


def read_lines(path: Path, encoding: str = "utf-8") -> Iterator[tuple[int, str]]:
    """Read a file line by line.

    path: A text file. A byte order mark is left out.
    YIELDS: The number of a line, from 1, and the line without its end.
    RAISES ValueError: A line isn't in this encoding.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                text = line.decode(encoding)
            except UnicodeDecodeError as error:
                raise ValueError(f"{path}, line {number}: not {encoding}: {error}") from error
            yield number, text.rstrip("\r\n").removeprefix("\ufeff" if number == 1 else "")
