"""Words a second of ``embed --engine ray`` with one worker and with two, on one machine. Prints a
table and one line of JSON.

    python benchmarks/ray_workers.py TEXT.txt --lines 20000

Counted is what is written after the first part of each worker, by the times of the files: Ray, the
workers and their biLMs take seconds to start, however long the text is. Each worker has one thread.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import typer
from timing import Figures, median_ratio, take_turns
from wasabi import msg

WORKERS = (1, 2)


def main(
    text: Path = typer.Argument(..., help="Plain text, one document a line", exists=True),
    lines: int = typer.Option(20_000, help="Lines that are read", min=1),
    source: str = typer.Option("en_small", help="The biLM"),
    repeats: int = typer.Option(3, help="Rounds", min=1),
) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "corpus.txt"
        with text.open(encoding="utf8") as file:
            corpus.write_text("".join(islice(file, lines)), encoding="utf8")
        result = measure(corpus, source, repeats)
    result = {"text": text.name, "lines": lines, "source": source, **result}
    show(result)
    print(json.dumps(result))


def measure(corpus: Path, source: str, repeats: int) -> dict[str, Any]:
    """Embed the corpus with each number of workers, in turns.

    RETURNS: Each run's figures, and how many times as many words two workers embed: the median
        over rounds.
    """
    runs = {str(n): partial(_run, corpus, source, n) for n in WORKERS}
    figures = take_turns(runs, repeats)
    one, two = (figures[str(n)]["words_per_second"] for n in WORKERS)
    return {"workers": figures, "two_to_one": median_ratio(two, one)}


def show(result: dict[str, Any]) -> None:
    """Print a table of medians."""
    rows = []
    for n, figures in result["workers"].items():
        speed, seconds = (
            statistics.median(figures[name]) for name in ("words_per_second", "seconds")
        )
        rows.append((n, f"{speed:,.0f}", f"{seconds:.1f}"))
    msg.table(rows, header=("workers", "words/s", "seconds with start"))


def _run(corpus: Path, source: str, n_workers: int) -> Figures:
    output = corpus.with_name("vectors.parquet")
    command = [sys.executable, "-m", "spacy", "elmo", "embed", str(corpus), str(output)]
    command += ["--source", source, "--layers", "mix", "--force"]
    command += ["--engine", "ray", "--workers", str(n_workers)]
    start = time.perf_counter()
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        raise RuntimeError(f"{command} ended with {done.returncode}:\n{done.stdout}")
    return {"words_per_second": speed_of(output, n_workers), "seconds": round(seconds, 1)}


def speed_of(output: Path, n_workers: int) -> float:
    """Words a second between the first part of the last worker to begin and the last part.

    output: The folder of parts.
    RAISES ValueError: There are too few parts.
    """
    from pyarrow.parquet import read_metadata

    times = {path: path.stat().st_mtime for path in output.glob("part-*.parquet")}
    parts = sorted(times, key=lambda path: times[path])
    if len(parts) < 4 * n_workers:
        raise ValueError(f"{len(parts)} parts are too few to measure. Give more --lines.")
    later = parts[n_workers:]
    n_words = sum(read_metadata(path).num_rows for path in later)
    return round(n_words / (times[later[-1]] - times[parts[n_workers - 1]]), 1)


if __name__ == "__main__":
    typer.run(main)
