"""Put the scores without static vectors, and with them, side by side."""

from collections.abc import Sequence
from pathlib import Path
from typing import List, Tuple

import typer
from languages import LANGUAGES
from wasabi import msg

from spacy_elmo.projects.compare import name_runs, write_table
from spacy_elmo.projects.plots.bars import draw_bars
from spacy_elmo.projects.plots.perplexity import draw_perplexities, read_perplexities
from spacy_elmo.projects.plots.style import new_figure, save
from spacy_elmo.projects.runs import Run

WITH_VECTORS = "{}, and floret"


def main(
    without: Path = typer.Argument(..., exists=True, help="Scores without static vectors"),
    vectors: Path = typer.Argument(..., exists=True, help="Scores with them"),
    bilm: Path = typer.Argument(..., exists=True, help="Folder of the run that trained the biLM"),
    output: Path = typer.Argument(..., help="Folder for table and picture"),
    language: str = typer.Option(..., help="A name in scripts/languages.py, for the title"),
    score: str = typer.Option("ents_f", help="The score to compare"),
) -> None:
    """Write a table and a picture."""
    try:
        runs = [*name_runs(without, score, "{}"), *name_runs(vectors, score, WITH_VECTORS)]
        perplexities = read_perplexities(bilm / "log.jsonl")
    except ValueError as error:
        msg.fail("Can't report", str(error), exits=1)
    output.mkdir(parents=True, exist_ok=True)
    table = write_table(runs, score)
    (output / "scores.md").write_text(table, encoding="utf-8")
    print(table)
    words, last = perplexities[-1]
    msg.text(f"Perplexity of held-out text after {words:,} words: {last:.0f}")
    title = LANGUAGES[language].title
    for path in draw(runs, score, perplexities, output / "scores", title):
        msg.good(str(path))


def draw(
    runs: Sequence[Run],
    score: str,
    perplexities: Sequence[Tuple[int, float]],
    path: Path,
    title: str,
) -> List[Path]:
    """Left the scores, those with ELMo blue; right how the perplexity falls. Of several shares of
    the texts, the largest is drawn."""
    most = max(run.n_texts for run in runs)
    largest = [run for run in runs if run.n_texts == most]
    figure = new_figure(10.5, 3.6)
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    with_elmo = {run.system for run in largest if "ELMo" in run.system}
    draw_bars(left, largest, score, title, blue=with_elmo)
    draw_perplexities(right, perplexities, "The biLM reads")
    return save(figure, path)


if __name__ == "__main__":
    typer.run(main)
