"""Tokens a second of training a biLM, against simple_elmo's training on the same text, and how near
to the floor both come. Prints tables and, last, one line of JSON.

    python benchmarks/pretraining.py TEXT.jsonl.gz … --tensorflow-python SIMPLE_ELMO/bin/python

A token is a position of the text, in which both directions predict a word, as in bilm-tf: a window
of 64 streams and 20 steps has 1,280 tokens.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any, Optional

import numpy as np
import products
import torch
import typer
from inference import REFERENCE_LENGTH
from material import write_json
from spacy.util import load_config
from timing import Figures, Peer, median_ratio, seconds_of, take_turns
from wasabi import msg

from spacy_elmo.pretraining.corpus.batches import Batch
from spacy_elmo.pretraining.learning.processes import Processes
from spacy_elmo.pretraining.learning.sampled_softmax import BLOCK_TOKENS
from spacy_elmo.pretraining.learning.trainer import Trainer
from spacy_elmo.pretraining.run import Run
from spacy_elmo.pretraining.settings.resolve import Settings, resolve

CONFIG = Path(__file__).parents[1] / "configs" / "pretrain.cfg"
PRECISIONS = ("float32", "bfloat16")  # of matrix products; the latter is mixed precision
BACKWARD = 3  # forward and backward take three times the products of forward alone
PEER = "simple_elmo"
PARTS = ("batch", "token encoder", "directions", "optimizer")


def main(
    texts: list[Path] = typer.Argument(..., help="Training texts: .txt, .jsonl (.gz) or .spacy"),
    config: Path = typer.Option(CONFIG, help="Config of a pretraining run"),
    tokens: Optional[Path] = typer.Option(
        None, help="Folder for the tokenized text, which later calls take again"
    ),
    steps: int = typer.Option(20, min=1, help="Steps in each turn"),
    repeats: int = typer.Option(5, min=1, help="Turns; medians are reported"),
    threads: int = typer.Option(2, min=1, help="Threads of each program"),
    tensorflow_python: Optional[Path] = typer.Option(None, help="A Python that has simple_elmo"),
) -> None:
    """Train in float32, in mixed precision and by simple_elmo in turn."""
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as temporary:
        result = measure(
            texts, config, tokens, steps, repeats, threads, tensorflow_python, Path(temporary)
        )
    show(result)
    print(json.dumps(result))


def measure(
    texts: list[Path],
    config: Path,
    tokens: Optional[Path],
    steps: int,
    repeats: int,
    threads: int,
    peer_python: Optional[Path],
    folder: Path,
) -> dict[str, Any]:
    """Time training steps, those of simple_elmo, and matrix products in turn.

    texts, config: The run of pretraining that is measured.
    tokens: Where the tokenized text is kept, or None.
    steps: Steps in each turn.
    repeats: Turns.
    threads: Threads of simple_elmo; ours are PyTorch's.
    peer_python: A Python that has simple_elmo, or None.
    folder: For files.
    RETURNS: For each precision and simple_elmo the tokens a second; the share of the peak of matrix
        products; the parts of a step of ours; and the ratios to simple_elmo.
    """
    tokens = tokens or folder / "tokens"
    runs_of_ours = {p: _start(texts, config, tokens, p, folder / p) for p in PRECISIONS}
    run = runs_of_ours["float32"]
    settings, network = run.settings, run.trainer.model.network
    n_samples = settings.training.n_samples
    batch_size, n_steps = settings.training.batch_size, settings.training.n_steps
    n_tokens = steps * batch_size * n_steps
    shapes = products.training_shapes(network.config, batch_size, n_steps, n_samples, BLOCK_TOKENS)
    runs: dict[str, Callable[[], Figures]] = {
        precision: partial(_train, run.trainer, steps) for precision, run in runs_of_ours.items()
    }
    with ExitStack() as stack:
        if peer_python is not None:
            _write_for_peer(run, folder / "float32", n_tokens * (1 + repeats))
            peer = Peer("simple_elmo_training", peer_python, threads, folder / "float32")
            request = write_json(steps, folder / "steps.json")
            runs[PEER] = partial(_run_peer, stack.enter_context(peer), request)
        for name in list(runs):
            runs[name]()  # compiles kernels; TensorFlow, too, is slow at first
        for precision in PRECISIONS:
            runs[f"peak {precision}"] = partial(_run_peak, precision, shapes)
        results = take_turns(runs, repeats)

    sample = [run.trainer.batches.next() for _ in range(steps)]
    lstms, softmax = (
        products.of_lstms(network.config),
        products.of_softmax(network.config, n_samples),
    )
    encoder = sum(products.of_distinct_words(network, _words(batch)) for batch in sample) / n_tokens
    needed = dict.fromkeys(PRECISIONS, BACKWARD * (lstms + softmax + encoder))
    # It encodes each token of each direction, padded.
    padded = 2 * products.of_encoder(network.config, REFERENCE_LENGTH)
    needed[PEER] = BACKWARD * (lstms + softmax + padded)
    rows: dict[str, dict[str, Any]] = {}
    for name, figures in results.items():
        if name.startswith("peak "):
            continue
        peaks = results[f"peak {name if name in PRECISIONS else 'float32'}"]
        speeds = [n_tokens / seconds for seconds in figures["seconds"]]
        used = [speed * needed[name] for speed in speeds]
        rows[name] = {
            "tokens_per_second": round(statistics.median(speeds)),
            "share_of_peak": median_ratio(used, peaks["peak"]),
        }
        if name in PRECISIONS:
            alone = [batch_size * n_steps / seconds for seconds in peaks["alone"]]
            rows[name]["tokens_per_second_of_products_alone"] = round(statistics.median(alone))
            rows[name]["busy_cores"] = median_ratio(figures["cpu"], figures["seconds"])
            rows[name]["milliseconds_a_step"] = {
                part: round(1000 * statistics.median(figures[part]) / steps, 1)
                for part in (*PARTS, "seconds")
            }
            if PEER in results:
                ratio = median_ratio(results[PEER]["seconds"], figures["seconds"])
                rows[name][f"to_{PEER}"] = ratio
    return {
        "threads": torch.get_num_threads(),
        "repeats": repeats,
        "steps": steps,
        "torch": torch.__version__,
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "vocabulary": len(run.trainer.model.vocabulary),
        "tokens_a_step": batch_size * n_steps,
        "distinct_words_a_step": round(statistics.mean(len(_words(batch)) for batch in sample)),
        "samples": n_samples,
        "million_products_a_token": {
            "lstms": round(BACKWARD * lstms / 1e6, 2),
            "softmax": round(BACKWARD * softmax / 1e6, 2),
            "token_encoder": round(BACKWARD * encoder / 1e6, 2),
            f"token_encoder_of_{PEER}": round(BACKWARD * padded / 1e6, 2),
        },
        "peak_billion_products_per_second": {
            precision: round(statistics.median(results[f"peak {precision}"]["peak"]) / 1e9, 1)
            for precision in PRECISIONS
        },
        "runs": rows,
    }


def show(result: dict[str, Any]) -> None:
    """Print tables."""
    print(
        f"{result['parameters'] / 1e6:.1f} M parameters, vocabulary of {result['vocabulary']:,}, "
        f"{result['samples']:,} samples; a step has {result['tokens_a_step']:,} tokens, of its "
        f"words {result['distinct_words_a_step']:,} are distinct"
    )
    needed = result["million_products_a_token"]
    print("Million multiply-adds a token:", end=" ")
    print(", ".join(f"{part.replace('_', ' ')} {value}" for part, value in needed.items()))
    peaks = result["peak_billion_products_per_second"]
    print("Peak of matrix products, billion multiply-adds a second:", end=" ")
    print(", ".join(f"{precision} {value}" for precision, value in peaks.items()))
    columns = ("tokens_per_second", f"to_{PEER}", "share_of_peak")
    columns += ("tokens_per_second_of_products_alone", "busy_cores")
    msg.table(
        [
            (name, *(f"{row[key]:,}" if key in row else "" for key in columns))
            for name, row in result["runs"].items()
        ],
        header=("", "tokens/s", f"to {PEER}", "share of peak", "products alone", "cores"),
        aligns=("l", *"r" * len(columns)),
    )
    msg.table(
        [
            (name, *row["milliseconds_a_step"].values())
            for name, row in result["runs"].items()
            if name in PRECISIONS
        ],
        header=("milliseconds a step", *PARTS, "all"),
        aligns=("l", *"r" * (len(PARTS) + 1)),
    )


def _start(texts: list[Path], config: Path, tokens: Path, precision: str, folder: Path) -> Run:
    """A run of pretraining, ready to train."""
    overrides = {
        "corpus.train.path": [str(text) for text in texts],
        "corpus.tokens": str(tokens),
        "training.mixed_precision": precision != "float32",
    }
    settings = resolve(load_config(config, overrides=overrides, interpolate=False))
    folder.mkdir()
    run = Run(settings, folder, Processes(0, 1, torch.device("cpu")))
    run.start(resume=False)
    return run


def _words(batch: Batch) -> list[str]:
    return [*batch.words[0], *batch.words[1]]


def _train(trainer: Trainer, steps: int) -> Figures:
    """The seconds of some steps, of their parts, and of all threads together."""

    def train() -> None:
        for _ in range(steps):
            trainer.step()

    with _seconds_inside(trainer) as parts:
        cpu = time.process_time()
        seconds = seconds_of(train)
        return {"seconds": seconds, "cpu": time.process_time() - cpu, **parts}


@contextmanager
def _seconds_inside(trainer: Trainer) -> Iterator[dict[str, float]]:
    """Note how long the parts of steps take: making the batch, the token encoder (forward and
    back), the directions with the softmax, the optimizer."""
    parts = dict.fromkeys(PARTS, 0.0)
    watched = [
        (trainer.batches, "next", ["batch"]),
        (trainer.compute, "_side_by_side", ["token encoder", "directions", "token encoder"]),
        (trainer.optimizer, "step", ["optimizer"]),
    ]

    def watch(method: Callable[..., Any], names: Iterator[str]) -> Callable[..., Any]:
        def watched_method(*args: Any) -> Any:
            start = time.perf_counter()
            result = method(*args)
            parts[next(names)] += time.perf_counter() - start
            return result

        return watched_method

    for owner, name, of in watched:
        setattr(owner, name, watch(getattr(owner, name), cycle(of)))
    try:
        yield parts
    finally:
        for owner, name, _ in watched:
            delattr(owner, name)  # the class's own again


def _run_peak(precision: str, shapes: list[tuple[int, int, int, int]]) -> Figures:
    dtype = getattr(torch, precision)
    return {
        "peak": products.peak(precision),
        "alone": products.seconds_of_training(shapes, dtype),
    }


def _run_peer(peer: Peer, request: Path) -> Figures:
    return {"seconds": peer.seconds(request)}


def _write_for_peer(run: Run, folder: Path, n_tokens: int) -> None:
    """Write what simple_elmo trains: options, and so much of the text. The vocabulary is there."""
    n_words, n_samples = len(run.trainer.model.vocabulary), run.settings.training.n_samples
    if n_words <= n_samples:
        raise ValueError(
            f"simple_elmo can't draw {n_samples:,} words from a vocabulary of {n_words:,}: "
            "it takes more text."
        )
    store = run.train_store
    with (folder / "text.txt").open("w", encoding="utf8") as file:
        for sentence in np.random.default_rng(0).permutation(store.n_sentences):
            words = store.sentence(int(sentence))
            file.write(" ".join(words) + "\n")
            n_tokens -= len(words) + 1
            if n_tokens < 0:
                break
    write_json(_peer_options(run.settings), folder / "options.json")


def _peer_options(settings: Settings) -> dict[str, Any]:
    bilm, training = settings.bilm, settings.training
    return {
        **bilm,
        "bidirectional": True,
        "char_cnn": {**bilm["char_cnn"], "n_characters": 261},  # 262 are those of finished weights
        "dropout": training.dropout,
        "all_clip_norm_val": training.max_grad_norm or 10.0,
        "batch_size": training.batch_size,
        "unroll_steps": training.n_steps,
        "n_negative_samples_batch": training.n_samples,
        "n_epochs": 1,
        "n_train_tokens": 10**12,  # longer than any measurement
    }


if __name__ == "__main__":
    typer.run(main)
