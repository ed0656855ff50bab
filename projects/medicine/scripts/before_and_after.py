"""Put the scores with the biLM as it came, and with it after it has read more, side by side."""

from collections.abc import Sequence
from pathlib import Path
from typing import List, Tuple

import typer
from wasabi import msg

from spacy_elmo.projects.compare import name_runs, write_table
from spacy_elmo.projects.plots.bars import draw_bars
from spacy_elmo.projects.plots.perplexity import draw_perplexities, read_perplexities
from spacy_elmo.projects.plots.style import new_figure, save
from spacy_elmo.projects.runs import Run

SCORE = "ents_f"
AFTER = "{}, after reading more"


def main(
    before: Path = typer.Argument(..., exists=True, help="Scores with the biLM as it came"),
    after: Path = typer.Argument(..., exists=True, help="Scores with the biLM that has read more"),
    bilm: Path = typer.Argument(..., exists=True, help="Folder of the run in which it has"),
    output: Path = typer.Argument(..., help="Folder for table and picture"),
    title: str = typer.Option("", help="Stands above the picture"),
) -> None:
    """Write a table and a picture."""
    try:
        runs = [*name_runs(before, SCORE, "{}"), *name_runs(after, SCORE, AFTER)]
        perplexities = read_perplexities(bilm / "log.jsonl")
    except ValueError as error:
        msg.fail("Can't report", str(error), exits=1)
    output.mkdir(parents=True, exist_ok=True)
    table = write_table(runs, SCORE)
    (output / "scores.md").write_text(table, encoding="utf-8")
    print(table)
    words, last = perplexities[-1]
    msg.text(f"Perplexity of held-out text after {words:,} words: {last:.0f}")
    msg.good(", ".join(map(str, draw(runs, perplexities, output / "scores", title))))


def draw(
    runs: Sequence[Run], perplexities: Sequence[Tuple[int, float]], path: Path, title: str
) -> List[Path]:
    """Left the scores, a bar for the mean of each system and a marker for each seed; right how the
    perplexity falls."""
    figure = new_figure(10.5, 3.6)
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    after = {run.system for run in runs if run.system.endswith(AFTER[2:])}
    draw_bars(left, runs, SCORE, title, blue=after)
    draw_perplexities(right, perplexities, "The biLM reads more")
    return save(figure, path)


if __name__ == "__main__":
    typer.run(main)
