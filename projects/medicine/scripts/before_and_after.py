"""Put the scores with the biLM as it came, and with it after it has read more, side by side."""

import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Dict, List, Tuple

import typer
from wasabi import msg

from spacy_elmo.pretraining.reports import RunLog
from spacy_elmo.projects.compare import write_table
from spacy_elmo.projects.plots.style import COLOURS, MARKERS, new_figure, plain, save
from spacy_elmo.projects.runs import Run, read_runs
from spacy_elmo.projects.systems import TITLES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

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
        runs = [*name_runs(before, "{}"), *name_runs(after, AFTER)]
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


def name_runs(folder: Path, form: str) -> List[Run]:
    """Scores of a folder, their systems by their titles in this form."""
    return [
        replace(run, system=form.format(TITLES.get(run.system, run.system)))
        for run in read_runs(folder, SCORE)
    ]


def read_perplexities(log: Path) -> List[Tuple[int, float]]:
    """Words read so far, and the held-out text's perplexity, the mean of both directions'.

    RAISES ValueError: There are none, or the file isn't the log of a run.
    """
    found = [(report.words, report.perplexity) for report in RunLog(log).read()]
    if not found:
        raise ValueError(f"{log}: there are no perplexities in it.")
    return found


def draw(
    runs: Sequence[Run], perplexities: Sequence[Tuple[int, float]], path: Path, title: str
) -> List[Path]:
    """Left the scores, a bar for the mean of each system and a marker for each seed; right how the
    perplexity falls."""
    figure = new_figure(10.5, 3.6)
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    _scores(left, runs, title)
    plain(right, "The biLM reads more")
    words, values = zip(*perplexities, strict=True)
    right.plot([n / 1e3 for n in words], values, color=COLOURS[0], marker="o", markersize=4)
    right.set_ylim(bottom=0)
    right.set_xlabel("words read (thousands)")
    right.set_ylabel("perplexity of held-out text")
    return save(figure, path)


def _scores(axes: "Axes", runs: Sequence[Run], title: str) -> None:
    plain(axes, title)
    axes.grid(False, axis="y")
    scores: Dict[str, List[float]] = {}
    for run in runs:
        scores.setdefault(run.system, []).append(100 * run.scores[SCORE])
    names = list(scores)[::-1]
    means = [statistics.mean(scores[name]) for name in names]
    colours = ["#9cc9e3" if name.endswith(AFTER[2:]) else "#cccccc" for name in names]
    bars = axes.barh(names, means, color=colours, height=0.7)
    axes.bar_label(bars, [f"{mean:.1f}" for mean in means], label_type="center")
    for seed in sorted({run.seed for run in runs}):
        own = [run for run in runs if run.seed == seed]
        axes.plot(
            [100 * run.scores[SCORE] for run in own],
            [run.system for run in own],
            linestyle="",
            marker=MARKERS[seed % len(MARKERS)],
            color=COLOURS[seed % len(COLOURS)],
            label=f"seed {seed}",
        )
    axes.set_xlim(left=0)
    axes.set_xlabel("entities, F (%); bars are means of the seeds")
    if len({run.seed for run in runs}) > 1:
        axes.figure.legend(loc="outside lower center", ncols=5, frameon=False)


if __name__ == "__main__":
    typer.run(main)
