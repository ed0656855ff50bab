"""Seconds until the first vectors are there, in fresh processes."""

import os
import statistics
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

from material import random_bilm
from timing import Figures, take_turns
from wasabi import msg

SIZES = ("small", "original")
PIPELINE = """
import time; times = [time.perf_counter()]
import spacy; times.append(time.perf_counter())
nlp = spacy.blank("en"); nlp.add_pipe("elmo"); times.append(time.perf_counter())
nlp("He sat on the bank of the river."); times.append(time.perf_counter())
print(*times)
"""
BILM = """
import sys, time; times = [time.perf_counter()]
from spacy_elmo import BiLM; times.append(time.perf_counter())
bilm = BiLM.load(sys.argv[1]); times.append(time.perf_counter())
bilm.embed([["He", "sat", "on", "the", "bank", "of", "the", "river", "."]])
times.append(time.perf_counter())
print(*times)
"""
STEPS = ("import", "load", "first")


def measure(folder: Path, threads: int, repeats: int) -> dict[str, Any]:
    """Time imports, ``add_pipe`` and a first Doc with the bundled biLM; and imports, ``BiLM.load``
    and a first sentence with random biLMs of published sizes in both formats.

    folder: For the weights. They are read from the operating system's cache.
    RETURNS: Medians for each step.
    """
    runs = {"add_pipe, en_small": lambda: _run([PIPELINE], threads)}
    for size in SIZES:
        bilm = random_bilm(size)
        paths = {"native": folder / f"native-{size}", "HDF5": folder / size / "weights.hdf5"}
        paths["HDF5"].parent.mkdir()
        bilm.save(paths["native"])
        bilm.save(paths["HDF5"], format="hdf5")
        for format_, path in paths.items():
            runs[f"BiLM.load, {size}, {format_}"] = lambda path=path: _run(
                [BILM, str(path)], threads
            )
    results = take_turns(runs, repeats)
    return {
        "seconds": {
            name: {step: round(statistics.median(values), 3) for step, values in figures.items()}
            for name, figures in results.items()
        }
    }


def show(result: dict[str, Any]) -> None:
    """Print a table."""
    msg.table(
        [
            (name, *(f"{figures[step]:.2f}" for step in STEPS), f"{sum(figures.values()):.2f}")
            for name, figures in result["seconds"].items()
        ],
        header=("seconds in a fresh process", "import", "load", "first vectors", "all"),
        aligns=("l", *"rrrr"),
    )


def _run(code: list[str], threads: int) -> Figures:
    env = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, "-c", *code]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=env).stdout
    times = [float(value) for value in output.split()]
    return dict(zip(STEPS, (stop - start for start, stop in pairwise(times)), strict=True))
