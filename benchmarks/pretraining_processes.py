"""Pretraining in two processes against one with twice the batch: tokens a second, and held-out
perplexity after the same number of tokens. Prints a table and one line of JSON.

    python benchmarks/pretraining_processes.py train.txt dev.txt

One process alone runs both directions side by side on two threads, so that it has two cores to
itself as well; each of two processes runs one direction after the other on one thread. One process
with one thread shows what a second core brings either way. Each round has a seed of its own, so
that the differences between rounds tell what is noise.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import typer
from spacy.util import load_config
from timing import Figures, median_ratio, take_turns
from wasabi import msg

CONFIG = Path(__file__).parent.parent / "configs" / "pretrain.cfg"
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
KINDS = {  # processes, and threads of each
    "one process, two threads": (1, 2),
    "one process, one thread": (1, 1),
    "two processes": (2, 1),
}
EVALUATIONS = 10  # in a run; speed is measured from the first to the last


def main(
    train: Path = typer.Argument(..., help="Text to train on: .txt, .jsonl, .spacy", exists=True),
    dev: Path = typer.Argument(..., help="Held-out text", exists=True),
    config: Path = typer.Option(CONFIG, help="Config of both", exists=True),
    tokens: int = typer.Option(2_000_000, help="Tokens that each run trains on, about"),
    streams: int = typer.Option(128, help="Streams of text of all processes together"),
    eval_words: int = typer.Option(20_000, help="Held-out words of an evaluation, about"),
    repeats: int = typer.Option(3, help="Rounds"),
) -> None:
    """Measure and print."""
    result = measure(train, dev, config, tokens, streams, eval_words, repeats)
    show(result)
    print(json.dumps(result))


def measure(
    train: Path, dev: Path, config: Path, tokens: int, streams: int, eval_words: int, repeats: int
) -> dict[str, Any]:
    """Train in each kind, in turns.

    RETURNS: Each run's figures, and the ratios of two processes to one: the median over rounds.
    """
    n_steps = load_config(config)["training"]["n_steps"]
    max_steps = max(tokens // (streams * n_steps * EVALUATIONS), 1) * EVALUATIONS
    overrides = {
        "paths.train": train.absolute(),
        "paths.dev": dev.absolute(),
        "training.max_steps": max_steps,
        "training.patience": 0,
        "training.eval_frequency": max_steps // EVALUATIONS,
        "training.max_eval_words": eval_words,
        "training.checkpoint_minutes": 1e6,  # one at the end
    }
    with tempfile.TemporaryDirectory() as folder:
        runs = {
            kind: partial(_run, kind, streams, config, Path(folder), overrides) for kind in KINDS
        }
        figures = take_turns(runs, repeats)
    return {
        "train": train.name,
        "config": config.name,
        "tokens": max_steps * streams * n_steps,
        "streams": streams,
        "runs": figures,
        "two_processes_to": {
            kind: {
                name: median_ratio(figures["two processes"][name], figures[kind][name])
                for name in ("tokens_per_second", "perplexity")
            }
            for kind in list(KINDS)[:2]
        },
    }


def show(result: dict[str, Any]) -> None:
    """Print a table of medians and, for the perplexity, of all rounds."""
    rows = []
    for kind, figures in result["runs"].items():
        speed = statistics.median(figures["tokens_per_second"])
        perplexities = " ".join(f"{value:.1f}" for value in figures["perplexity"])
        rows.append((kind, result["streams"] // KINDS[kind][0], f"{speed:,.0f}", perplexities))
    msg.table(rows, header=("", "streams of each", "tokens/s", "perplexity (rounds)"))


def _run(kind: str, streams: int, config: Path, folder: Path, overrides: dict[str, Any]) -> Figures:
    """Train in a folder of its own."""
    n_processes, n_threads = KINDS[kind]
    n_before = len([*folder.glob(f"{kind}-*")])  # as many rounds
    output = folder / f"{kind}-{n_before}"
    values = {
        **overrides,
        "paths.tokens": folder / "tokens",  # tokenized once
        "training.batch_size": streams // n_processes,
        "training.seed": n_before,
    }
    command = [sys.executable, *(TORCHRUN if n_processes == 2 else ())]
    command += ["-m", "spacy", "elmo", "pretrain", str(config), "--output", str(output)]
    for key, value in values.items():
        command += [f"--{key}", str(value)]
    env = {**os.environ, "OMP_NUM_THREADS": str(n_threads)}
    done = subprocess.run(
        command, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode != 0:
        raise RuntimeError(f"{command} ended with {done.returncode}:\n{done.stdout}")
    lines = (output / "log.jsonl").read_text(encoding="utf-8").splitlines()
    first, *_, last = map(json.loads, lines)
    passed = last["seconds"] - first["seconds"]
    return {
        "tokens_per_second": round((last["words"] - first["words"]) / passed, 1),
        "perplexity": round(last["perplexity"], 2),
        "perplexity_forward": round(last["perplexity_forward"], 2),
        "perplexity_backward": round(last["perplexity_backward"], 2),
    }


if __name__ == "__main__":
    typer.run(main)
