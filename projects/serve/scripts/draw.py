"""Draws how many requests were answered within a time, for each load."""

import json
from pathlib import Path

import matplotlib

matplotlib.use("agg")
import typer
from matplotlib.figure import Figure

COLOURS = ("#0072b2", "#d55e00")  # told apart by colour-blind people, too


def main(
    figures: Path = typer.Argument(..., exists=True, help="What load_test.py wrote"),
    output: Path = typer.Argument(..., help="The picture, without suffix: PNG and SVG are written"),
) -> None:
    """Draw the distribution of latencies."""
    loads = {name: row for name, row in json.loads(figures.read_text()).items() if "times" in row}
    figure = Figure(figsize=(7, 3.8), layout="constrained")
    axes = figure.subplots()
    for colour, (name, row) in zip(COLOURS, loads.items(), strict=False):
        times = [1000 * seconds for seconds in row["times"]]
        shares = [100 * (i + 1) / len(times) for i in range(len(times))]
        label = f"{name}: {row['requests_per_second']:.0f} requests a second"
        axes.plot(times, shares, color=colour, label=label)
    axes.set_xscale("log")
    axes.set_xlabel("milliseconds from request to answer")
    axes.set_ylabel("requests answered (%)")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    output.parent.mkdir(parents=True, exist_ok=True)
    for suffix in (".png", ".svg"):
        figure.savefig(output.with_suffix(suffix), dpi=110)


if __name__ == "__main__":
    typer.run(main)
