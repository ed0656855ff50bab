"""Print the scores with and without ELMo, of every seed that was run."""

from pathlib import Path

import srsly
import typer
from wasabi import msg

SCORES = ("ents_p", "ents_r", "ents_f")


def main(
    metrics: Path = typer.Argument(
        ..., exists=True, help="Directory with stock_*.json and elmo_*.json"
    ),
) -> None:
    """Print a row for every run and the means."""
    rows = []
    for name in ("stock", "elmo"):
        runs = []
        for path in sorted(metrics.glob(f"{name}_*.json")):
            runs.append([100 * srsly.read_json(path)[score] for score in SCORES])
            rows.append((name, path.stem.removeprefix(f"{name}_"), *map("{:.1f}".format, runs[-1])))
        if len(runs) > 1:
            means = [sum(column) / len(runs) for column in zip(*runs, strict=True)]
            rows.append((name, "mean", *map("{:.1f}".format, means)))
    header = ("tok2vec", "seed", "P", "R", "F")
    msg.table(rows, header=header, divider=True, aligns=("l", "r", "r", "r", "r"))


if __name__ == "__main__":
    typer.run(main)
