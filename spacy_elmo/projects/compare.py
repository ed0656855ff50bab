"""``python -m spacy_elmo.projects compare``"""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import typer
from wasabi import msg

from ..formats.files import replacing
from .runs import SCORE_TITLES, Run, read_runs
from .systems import TITLES


def compare(
    metrics: Path = typer.Argument(..., exists=True, file_okay=False, help="Folder of scores"),
    output: Path = typer.Argument(..., help="The table, Markdown"),
    score: str = typer.Option("ents_f", help="The score to compare"),
) -> None:
    """Write and print a table of all scores: each seed's and their mean."""
    try:
        table = write_table(read_runs(metrics, score), score)
    except ValueError as error:
        msg.fail("Can't compare", str(error), exits=1)
    with replacing(output) as temporary:
        temporary.write_text(table, encoding="utf-8")
    print(table)


def name_runs(metrics: Path, score: str, form: str) -> list[Run]:
    """Scores of a folder, their systems by their titles, so that those of several can be compared.

    score: They all have it.
    form: What becomes of a title: ``"{}, after reading more"``.
    RAISES ValueError: As ``read_runs``.
    """
    return [
        replace(run, system=form.format(TITLES.get(run.system, run.system)))
        for run in read_runs(metrics, score)
    ]


def write_table(runs: Sequence[Run], score: str) -> str:
    """RETURNS: Markdown, a row for each share of the texts and each system; scores in percent."""
    seeds = sorted({run.seed for run in runs})
    groups: dict[tuple[int, str], dict[int, float]] = {}
    for run in runs:
        group = groups.setdefault((run.n_texts, run.system), {})
        group[run.seed] = 100 * run.scores[score]
    rows = [
        [
            f"{n_texts:,}",
            TITLES.get(system, system),
            *(f"{values[seed]:.1f}" if seed in values else "" for seed in seeds),
            *([f"**{statistics.mean(values.values()):.1f}**"] if len(seeds) > 1 else []),
        ]
        for (n_texts, system), values in groups.items()
    ]
    names = [f"seed {seed}" for seed in seeds]
    header = ["training texts", SCORE_TITLES.get(score, score) + " (%)", *names]
    return markdown([*header, *(["mean"] if len(seeds) > 1 else [])], rows)


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; all columns but the second are numbers."""
    rule = ["---" if i == 1 else "---:" for i in range(len(header))]
    return "".join(f"| {' | '.join(line)} |\n" for line in [header, rule, *rows])
