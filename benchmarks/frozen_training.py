"""What a frozen biLM costs in training: seconds of each epoch of ``spacy train`` with a shipped
config, and with spaCy's stock tok2vec in its place. Prints a table and one line of JSON.

    python benchmarks/frozen_training.py configs/ner.cfg train.spacy dev.spacy

Both train in processes of their own, one thread each, and take turns: an epoch of the one, then an
epoch of the other. Evaluations and checkpoints are part of the epochs they fall into.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable

import spacy
import typer
from spacy.util import load_config
from thinc.api import Config
from wasabi import msg
from worth.changes import without_elmo

CALLBACK = "spacy-elmo.benchmark_epochs.v1"
MARK = "seconds of an epoch:"


def main(
    config: Path = typer.Argument(..., help="A config with an elmo and one other component"),
    train: Path = typer.Argument(..., help="Training data, .spacy"),
    dev: Path = typer.Argument(..., help="Development data"),
    epochs: int = typer.Option(6, help="Epochs of each; at least 2"),
) -> None:
    """Measure and print."""
    result = measure(config, train, dev, epochs)
    show(result)
    print(json.dumps(result))


def measure(config: Path, train: Path, dev: Path, epochs: int) -> dict[str, Any]:
    """Train both pipelines for some epochs.

    RETURNS: Their seconds of each epoch, of the first and the median of the later ones, and the
        ratio of ELMo to stock: the median over pairs of neighbouring later epochs, which saw the
        same state of the machine.
    """
    shipped = load_config(config)
    shipped["paths"].update({"train": str(train.absolute()), "dev": str(dev.absolute())})
    # No end: the processes are stopped when they have been measured.
    shipped["training"].update({"max_epochs": 0, "max_steps": 0, "patience": 0})
    shipped["training"]["before_update"] = {"@callbacks": CALLBACK}
    configs = {"elmo": shipped, "stock": without_elmo(shipped)}
    seconds: dict[str, list[float]] = {name: [] for name in configs}
    with tempfile.TemporaryDirectory() as folder:
        processes = {name: _start(configs[name], Path(folder) / name) for name in configs}
        try:
            for _ in range(epochs):
                for name, process in processes.items():
                    seconds[name].append(_next_epoch(process))
        finally:
            for process in processes.values():
                process.kill()
                process.wait()
    ratios = [elmo / stock for elmo, stock in zip(seconds["elmo"], seconds["stock"], strict=True)]
    return {
        "config": config.name,
        "train": train.name,
        "seconds": {
            name: {
                "first": round(values[0], 2),
                "later": round(statistics.median(values[1:]), 2),
                "epochs": [round(value, 2) for value in values],
            }
            for name, values in seconds.items()
        },
        "ratio_of_later_epochs": round(statistics.median(ratios[1:]), 2),
    }


def show(result: dict[str, Any]) -> None:
    """Print a table."""
    rows = [
        (name, figures["first"], figures["later"], figures["epochs"])
        for name, figures in result["seconds"].items()
    ]
    msg.table(rows, header=("tok2vec", "first epoch", "later (median)", "all"))


def _start(config: Config, folder: Path) -> "subprocess.Popen[str]":
    """Training that waits before its first epoch."""
    folder.mkdir()
    config.to_disk(folder / "config.cfg")
    command = [sys.executable, "-m", "spacy", "train", str(folder / "config.cfg")]
    command += ["--output", str(folder), "--code", __file__]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    paths = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    env["PYTHONPATH"] = os.pathsep.join(paths)  # for the import of worth
    env["SPACY_ELMO_CACHE"] = str(folder / "cache")  # nothing from earlier runs
    process = subprocess.Popen(
        command, env=env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    _await_mark(process)
    return process


def _next_epoch(process: "subprocess.Popen[str]") -> float:
    """Let a process train for one epoch; its seconds."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return _await_mark(process)


def _await_mark(process: "subprocess.Popen[str]") -> float:
    assert process.stdout is not None
    output = []
    for line in process.stdout:
        if line.startswith(MARK):
            return float(line.removeprefix(MARK))
        output.append(line)
    raise RuntimeError(f"{process.args} ended:\n{''.join(output)}")


@spacy.registry.callbacks(CALLBACK)
def make_epoch_callback() -> Callable[[Any, dict[str, Any]], None]:
    """For the training processes: at the start of each epoch, report and wait for the turn."""
    epoch, start = -1, time.perf_counter()

    def before_update(nlp: Any, info: dict[str, Any]) -> None:
        nonlocal epoch, start
        if info["epoch"] != epoch:
            print(MARK, time.perf_counter() - start, flush=True)
            sys.stdin.readline()
            epoch, start = info["epoch"], time.perf_counter()

    return before_update


if __name__ == "__main__":
    typer.run(main)
