"""The summary as Markdown."""

from collections.abc import Iterable
from typing import Any, Optional

from worth.systems import STOCK


def write_tables(summary: dict[str, Any]) -> str:
    """RETURNS: For each share of the training data a table of systems by sets (mean and standard
    deviation, errors removed), one of seconds of training; and for each group of sets one of mean
    errors removed and words a second."""
    cells = {(cell["share"], cell["system"], cell["data_set"]): cell for cell in summary["cells"]}
    shares, systems, sets = (list(dict.fromkeys(column)) for column in zip(*cells, strict=True))
    parts = []
    for share in sorted(shares):
        rows = [
            [system, *(_score_cell(cells.get((share, system, name))) for name in sets)]
            for system in systems
        ]
        headings = [f"{name} ({_score_names(summary, name)})" for name in sets]
        parts += [f"## {_of_training(share)}", _table(["", *headings], rows)]
        rows = [
            [system, *(_seconds_cell(cells.get((share, system, name))) for name in sets)]
            for system in systems
        ]
        parts += ["Seconds of training:", _table(["", *sets], rows)]
    for group in summary["groups"]:
        rows = [
            [
                system,
                *(_number(figures["errors_removed"].get(f"{share:g}")) for share in sorted(shares)),
                _number(figures["words_per_second"]),
            ]
            for system, figures in group["systems"].items()
        ]
        parts.append(f"## Share of stock's errors removed, in percent, mean of {group['title']}")
        parts.append(_table(["", *map(_of_training, sorted(shares)), "words a second"], rows))
    return "\n\n".join(parts) + "\n"


def _of_training(share: float) -> str:
    return "all training data" if share == 1 else f"{100 * share:g} % of the training data"


def _score_names(summary: dict[str, Any], data_set: str) -> str:
    [names] = {tuple(c["scores"]) for c in summary["cells"] if c["data_set"] == data_set}
    return ", ".join(names)


def _score_cell(cell: Optional[dict[str, Any]]) -> str:
    if cell is None:
        return ""
    scores = ", ".join(
        f"{score['mean']:.1f}"
        + (f" ± {score['deviation']:.1f}" if score["deviation"] is not None else "")
        for score in cell["scores"].values()
    )
    removed = cell["errors_removed"]
    return scores if cell["system"] == STOCK or removed is None else f"{scores} ({removed:+.1f} %)"


def _seconds_cell(cell: Optional[dict[str, Any]]) -> str:
    return "" if cell is None else _number(round(cell["seconds"]))


def _number(value: Optional[float]) -> str:
    return "" if value is None else f"{value:,}"


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    header = list(header)
    lines = [header, ["---", *("---:" for _ in header[1:])], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
