"""What a run of pretraining was worth: perplexities, and entities with its biLM and without."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List

import typer
from perplexities import title_of, write_perplexities
from wasabi import msg

from spacy_elmo.projects.compare import write_table
from spacy_elmo.projects.plots.bars import draw_bars
from spacy_elmo.projects.plots.perplexity import draw_perplexities, read_perplexities
from spacy_elmo.projects.plots.style import COLOURS, new_figure, plain, save
from spacy_elmo.projects.runs import Run, read_runs

SCORE = "ents_f"
OWN = "with ELMo, own biLM"
NAMES = {"stock": "spaCy's tok2vec", "both": "with ELMo, en_small"}


def main(
    run: Path = typer.Argument(..., exists=True, help="Folder of the run of pretraining"),
    perplexities: Path = typer.Argument(..., exists=True, help="What perplexities.py has written"),
    before: Path = typer.Argument(..., exists=True, help="Scores without the biLM"),
    own: Path = typer.Argument(..., exists=True, help="Scores with it"),
    output: Path = typer.Argument(..., help="Folder for tables and picture"),
    title: str = typer.Option("", help="Stands above the scores"),
) -> None:
    """Write two tables and a picture."""
    try:
        runs = [replace(r, system=NAMES.get(r.system, r.system)) for r in read_runs(before, SCORE)]
        runs += [replace(r, system=OWN) for r in read_runs(own, SCORE)]
        files = json.loads(perplexities.read_text(encoding="utf-8"))
        pictures = draw(run, files, runs, output / "scores", title)
    except (ValueError, ImportError) as error:
        msg.fail("Can't report", str(error), exits=1)
    tables = f"{write_perplexities(files)}\n{write_table(runs, SCORE)}"
    (output / "scores.md").write_text(tables, encoding="utf-8")
    print(tables)
    msg.good(", ".join(map(str, pictures)))


def draw(
    run: Path, files: Sequence[Dict[str, Any]], runs: Sequence[Run], path: Path, title: str
) -> List[Path]:
    """How the perplexity fell, what it is of each file at the end, and the scores."""
    figure = new_figure(12.5, 3.6)
    left, middle, right = figure.subplots(1, 3, width_ratios=(4, 3, 5))
    draw_perplexities(left, read_perplexities(run / "log.jsonl"), "While it reads")
    plain(middle, "At the end")
    middle.grid(False, axis="y")
    names = [title_of(file) for file in files][::-1]
    values = [file["perplexity"]["zero"]["both"] for file in files][::-1]
    bars = middle.barh(names, values, color=COLOURS[5], height=0.7)
    middle.bar_label(bars, [f"{value:,.0f}" for value in values], padding=3)
    middle.set_xlim(0, 1.25 * max(values))
    middle.set_xlabel("perplexity of held-out text")
    draw_bars(right, runs, SCORE, title, blue=[OWN])
    return save(figure, path)


if __name__ == "__main__":
    typer.run(main)
