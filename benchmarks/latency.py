"""Milliseconds that one sentence takes by itself."""

import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, get_args

from material import write_json
from timing import Figures, Peer, median_ratio, seconds_of, take_turns
from wasabi import msg

from spacy_elmo import BiLM
from spacy_elmo.bilm import Precision

N_WORDS = 20
CALLS = 15  # in each turn


def measure(
    bilm: BiLM, sentences: list[list[str]], peers: dict[str, Peer], folder: Path, repeats: int
) -> dict[str, Any]:
    """Time a sentence of 20 words, cold (no word remembered) and warm.

    bilm: Its network is computed in each precision.
    sentences: The first with at least so many words is taken, cut to them.
    peers: Other implementations that have loaded the same weights.
    folder: For files.
    RETURNS: Milliseconds of each run: medians over turns of the medians of their calls. Ratios are
        to the float32 of the same turn.
    """
    words = next((words[:N_WORDS] for words in sentences if len(words) >= N_WORDS), None)
    if words is None:
        raise ValueError(f"No sentence has {N_WORDS} words. Measure on more sentences.")
    request = write_json([words], folder / "sentence.json")
    runs: dict[str, Callable[[], Figures]] = {}
    for precision in get_args(Precision):
        runs[precision] = partial(_run, BiLM(bilm.network, precision), words)
    for name, peer in peers.items():
        runs[name] = partial(_run_peer, peer, request)
    for run in runs.values():
        run()  # packs weights, compiles kernels
    results = take_turns(runs, repeats)
    rows: dict[str, dict[str, float]] = {}
    for name, figures in results.items():
        rows[name] = {key: round(statistics.median(values), 3) for key, values in figures.items()}
        if name not in peers:
            for other in peers:
                rows[name][f"cold_to_{other}"] = median_ratio(
                    results[other]["cold"], figures["cold"]
                )
                rows[name][f"warm_to_{other}"] = median_ratio(
                    results[other]["cold"], figures["warm"]
                )
    return {"words": N_WORDS, "calls": CALLS * repeats, "milliseconds": rows}


def show(result: dict[str, Any]) -> None:
    """Print a table."""
    rows = result["milliseconds"]
    columns = list(dict.fromkeys(key for row in rows.values() for key in row))
    print(f"One sentence of {result['words']} words, {result['calls']} calls")
    msg.table(
        [
            (name, *(f"{row[key]:.2f}" if key in row else "" for key in columns))
            for name, row in rows.items()
        ],
        header=("", *(_heading(key) for key in columns)),
        aligns=("l", *"r" * len(columns)),
    )


def _heading(key: str) -> str:
    return f"{key}, ms" if key in ("cold", "warm") else key.replace("_", " ")


def _run(bilm: BiLM, words: list[str]) -> Figures:
    cold, warm = [], []
    for _ in range(CALLS):
        bilm._engine.forget_words()
        cold.append(seconds_of(lambda: bilm.embed([words])))
    for _ in range(CALLS):
        warm.append(seconds_of(lambda: bilm.embed([words])))
    return {"cold": 1000 * statistics.median(cold), "warm": 1000 * statistics.median(warm)}


def _run_peer(peer: Peer, request: Path) -> Figures:
    return {"cold": 1000 * statistics.median(peer.seconds(request) for _ in range(CALLS))}
