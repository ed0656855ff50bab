"""From the scores of single runs to what is reported.

*Errors* are what the mean of a score over the seeds lacks to 100; given is the share of the stock
tok2vec's errors that a system doesn't make, in percent. A set with two scores has the mean of both.
"""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Optional

from worth.sets import TITLES, DataSet
from worth.systems import STOCK, System


class Cell(NamedTuple):
    """A system on a data set, with a share of its training texts.

    data_set, system: Their names.
    share: Of the training texts."""

    data_set: str
    system: str
    share: float


class Trained(NamedTuple):
    """What one run gave.

    scores: In 0 to 1, by their names.
    seconds: Of training."""

    scores: Mapping[str, float]
    seconds: float


class Group(NamedTuple):
    """Data sets, and the systems that can do all of them.

    title: What they are."""

    title: str
    sets: list[str]
    systems: list[str]


def group(sets: Sequence[DataSet], systems: Sequence[System]) -> list[Group]:
    """Means are compared over the same sets only: all sets with the systems that can do all, then
    the sets of each task that a system can't leave, with all systems that can do them."""
    groups: list[Group] = []
    for system in systems:
        names = [each.name for each in sets if each.task in system.tasks]
        if names and names not in [known.sets for known in groups]:
            tasks = sorted({each.task for each in sets if each.task in system.tasks})
            title = ", ".join(TITLES[task] for task in tasks)
            if len(names) == len(sets):
                title = "all sets"
            able = [other.name for other in systems if set(tasks) <= set(other.tasks)]
            groups.append(Group(title, names, able))
    return groups


def summarize(
    sets: Sequence[DataSet],
    groups: Sequence[Group],
    runs: Mapping[Cell, Sequence[Trained]],
    speeds: Mapping[tuple[str, str], Sequence[float]],
) -> dict[str, Any]:
    """Everything that is reported, as JSON.

    runs: For each cell, one for each seed that has succeeded.
    speeds: For each set and system, words a second of each round.
    RETURNS: ``cells``: scores in percent (mean, standard deviation, values), errors removed, and
        seconds of training (median). ``groups``: for each system and share, the mean of the errors
        removed, null where a set is missing; words a second, the geometric mean over the sets of
        the medians of their rounds.
    """
    scores = {each.name: each.scores for each in sets}
    cells = [
        {**cell._asdict(), **_summarize_cell(scores[cell.data_set], results, _stock(runs, cell))}
        for cell, results in runs.items()
        if results
    ]
    removed = {
        Cell(cell["data_set"], cell["system"], cell["share"]): cell["errors_removed"]
        for cell in cells
    }
    shares = sorted({cell.share for cell in runs})
    return {
        "cells": cells,
        "groups": [
            {
                "title": each.title,
                "sets": each.sets,
                "systems": {
                    system: {
                        "errors_removed": {
                            f"{share:g}": _mean(
                                removed.get(Cell(name, system, share)) for name in each.sets
                            )
                            for share in shares
                        },
                        "words_per_second": _speed(
                            [speeds.get((name, system), ()) for name in each.sets]
                        ),
                    }
                    for system in each.systems
                },
            }
            for each in groups
        ],
    }


def errors_removed(stock: float, other: float) -> Optional[float]:
    """stock, other: Scores in percent. RETURNS: In percent; None where stock makes no errors."""
    return None if stock == 100 else 100 * (other - stock) / (100 - stock)


def _summarize_cell(
    names: Iterable[str], results: Sequence[Trained], stock: Sequence[Trained]
) -> dict[str, Any]:
    scores: dict[str, Any] = {}
    removed: list[Optional[float]] = []
    for name in names:
        values = [100 * result.scores[name] for result in results]
        mean = statistics.mean(values)
        scores[name] = {
            "mean": round(mean, 2),
            "deviation": round(statistics.stdev(values), 2) if len(values) > 1 else None,
            "values": [round(value, 2) for value in values],
        }
        if stock:
            baseline = statistics.mean(100 * result.scores[name] for result in stock)
            removed.append(errors_removed(baseline, mean))
    return {
        "scores": scores,
        "errors_removed": _mean(removed),
        "seconds": round(statistics.median(result.seconds for result in results), 1),
    }


def _stock(runs: Mapping[Cell, Sequence[Trained]], cell: Cell) -> Sequence[Trained]:
    return runs.get(cell._replace(system=STOCK), ())


def _mean(values: Iterable[Optional[float]]) -> Optional[float]:
    """None if there is no value, or one is missing."""
    known = list(values)
    present = [value for value in known if value is not None]
    return round(statistics.mean(present), 1) if present and len(present) == len(known) else None


def _speed(rounds: Sequence[Sequence[float]]) -> Optional[int]:
    if not all(rounds):
        return None
    return round(statistics.geometric_mean(statistics.median(values) for values in rounds))
