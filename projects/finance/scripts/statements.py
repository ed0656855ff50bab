"""Statements with the year that they were made in."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional

import smart_open

YEAR = re.compile(r"\b(19[5-9]\d|20[0-4]\d)\b")


class Statement(NamedTuple):
    """A text and the year that it is of."""

    year: int
    text: str


def read_statements(path: Path, from_text: bool) -> Iterator[Statement]:
    """JSON lines with "text" and "date" ("2001-06-15", or a year); lines without a date are left
    out.

    from_text: For lines without a date, the latest year that the text names stands for it.
    RAISES ValueError: A line is of another form, or no line has a year.
    """
    found = False
    with smart_open.open(path, encoding="utf-8", newline="\n") as file:
        for number, line in enumerate(file, start=1):
            try:
                row = json.loads(line)
                text, date = row["text"], row.get("date")
                year = year_of(text, date, from_text)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise ValueError(
                    f"{path}, line {number}: no object with text and date: {error!r}"
                ) from error
            if year is not None:
                found = True
                yield Statement(year, text)
    if not found:
        raise ValueError(f"{path}: no line has a date. --from-text takes years from texts.")


def year_of(text: str, date: Optional[object], from_text: bool) -> Optional[int]:
    """RAISES ValueError: A date doesn't begin with a year."""
    if date is not None:
        return int(str(date)[:4])
    years = [int(year) for year in YEAR.findall(text)] if from_text else []
    return max(years, default=None)


def spread(statements: Iterator[Statement], most: int) -> Dict[int, List[str]]:
    """Texts by year, in order; of a year at most so many, evenly among all of it."""
    years: Dict[int, List[str]] = defaultdict(list)
    for statement in statements:
        years[statement.year].append(statement.text)
    return {
        year: texts[:: max(1, -(-len(texts) // most))] if most else texts
        for year, texts in sorted(years.items())
    }
