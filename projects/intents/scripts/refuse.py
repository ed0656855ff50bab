"""Give pipelines a threshold below which a request isn't for them, and see how well that works."""

from pathlib import Path
from typing import TYPE_CHECKING, Dict, List

import numpy as np
import spacy
import typer
from scopes import Scopes, read_scopes, with_threshold
from wasabi import msg

from spacy_elmo.projects.plots.style import COLOURS, new_figure, plain, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BINS = np.linspace(0, 1, 26)


def main(
    models: List[Path] = typer.Argument(..., exists=True, help="Trained pipelines with 'textcat'"),
    names: str = typer.Option(..., help="What they are called, separated by commas"),
    dev: Path = typer.Option(..., exists=True, help="The .spacy file that the threshold is for"),
    test: Path = typer.Option(..., exists=True, help="The .spacy file that it is tried on"),
    pipelines: Path = typer.Option(..., help="Folder for the pipelines with a threshold"),
    results: Path = typer.Option(..., help="Folder for table and picture"),
    n_trials: int = typer.Option(21, "--trials", help="So many thresholds are tried"),
    title: str = typer.Option("", help="Stands above the picture"),
) -> None:
    """Write pipelines, a table and a picture."""
    found: Dict[str, Scopes] = {}
    try:
        for name, model in zip(names.split(","), models, strict=True):
            output = pipelines / model.parent.name
            threshold = with_threshold(model, output, dev, n_trials)
            found[name] = read_scopes(spacy.load(output), test, threshold)
            msg.good(f"{output}: a request is refused below {100 * threshold:.0f} %")
    except ValueError as error:
        msg.fail("Can't find a threshold", str(error), exits=1)
    results.mkdir(parents=True, exist_ok=True)
    table = write_table(found)
    (results / "scope.md").write_text(table, encoding="utf-8")
    print(table)
    msg.good(", ".join(map(str, draw(found, results / "scope", title))))


def write_table(found: Dict[str, Scopes]) -> str:
    """RETURNS: Markdown, a row for each pipeline."""
    scores = {name: scopes.scores() for name, scopes in found.items()}
    columns = list(next(iter(scores.values())))
    lines = [["(%)", "threshold", *columns], ["---", *("---:" for _ in range(len(columns) + 1))]]
    for name, values in scores.items():
        numbers = (f"{values[column]:.1f}" for column in columns)
        lines.append([name, f"{100 * found[name].threshold:.0f}", *numbers])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def draw(found: Dict[str, Scopes], path: Path, title: str) -> List[Path]:
    """A panel for each pipeline: how likely the likeliest intent is, of either kind of request."""
    figure = new_figure(1 + 4 * len(found), 3.8)
    panels = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
    for axes, (name, scopes) in zip(panels, found.items(), strict=True):
        _panel(axes, name, scopes)
    panels[0].set_ylabel("share of such requests (%)")
    figure.suptitle(title, fontsize=12, x=0.02, ha="left")
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False
    )
    return save(figure, path)


def _panel(axes: "Axes", name: str, scopes: Scopes) -> None:
    plain(axes, name)
    kinds = (("meant for the service", scopes.meant, "-"), ("others", scopes.others, "--"))
    for (label, values, line), colour in zip(kinds, COLOURS, strict=False):
        weights = np.full(len(values), 100 / len(values))
        shares, _ = np.histogram(values, BINS, weights=weights)
        axes.stairs(shares, BINS, fill=True, color=colour, alpha=0.25)
        axes.stairs(shares, BINS, color=colour, linestyle=line, linewidth=1.6, label=label)
    axes.axvline(
        scopes.threshold, color="black", linestyle=":", linewidth=1.6, label="refused left of this"
    )
    axes.set_xlim(0, 1)
    axes.set_xticks(np.linspace(0, 1, 6), [f"{share}" for share in range(0, 101, 20)])
    axes.set_xlabel("probability of the likeliest intent (%)")


if __name__ == "__main__":
    typer.run(main)
