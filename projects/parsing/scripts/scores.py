"""A table of many scores of trained pipelines: means of their seeds."""

import statistics
from pathlib import Path
from typing import Dict, List, Tuple

import typer
from wasabi import msg

from spacy_elmo.formats.files import replacing
from spacy_elmo.projects.compare import markdown
from spacy_elmo.projects.runs import Run, read_runs
from spacy_elmo.projects.systems import TITLES

COLUMNS = {
    "dep_las": "LAS",
    "dep_uas": "UAS",
    "tag_acc": "tags",
    "pos_acc": "parts of speech",
    "morph_acc": "morphology",
    "lemma_acc": "lemmas",
}


def main(
    metrics: Path = typer.Argument(..., exists=True, help="Folder of scores"),
    output: Path = typer.Argument(..., help="The table, Markdown"),
) -> None:
    """Write and print a row for each share of the texts and each system."""
    try:
        table = write_table(read_runs(metrics, "dep_las"))
    except ValueError as error:
        msg.fail("Can't compare", str(error), exits=1)
    with replacing(output) as temporary:
        temporary.write_text(table, encoding="utf-8")
    print(table)


def write_table(runs: List[Run]) -> str:
    """RETURNS: Markdown; percent, means of all seeds and for LAS the deviation."""
    groups: Dict[Tuple[int, str], List[Run]] = {}
    for run in runs:
        groups.setdefault((run.n_texts, run.system), []).append(run)
    rows = []
    for (n_texts, system), own in groups.items():
        cells = []
        for score in COLUMNS:
            values = [100 * run.scores[score] for run in own]
            cell = f"{statistics.mean(values):.1f}"
            if score == "dep_las" and len(values) > 1:
                cell += f" ± {statistics.stdev(values):.1f}"
            cells.append(cell)
        rows.append([f"{n_texts:,}", TITLES.get(system, system), *cells])
    return markdown(["sentences", "(%)", *COLUMNS.values()], rows)


if __name__ == "__main__":
    typer.run(main)
