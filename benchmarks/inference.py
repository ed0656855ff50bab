"""Words a second of ``BiLM.embed`` in each precision and of other implementations on the same
weights, and how near to the floor they come."""

import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, Optional, get_args

import products
from material import sample, write_json
from timing import Figures, Peer, median_ratio, seconds_of, take_turns
from wasabi import msg

from spacy_elmo import BiLM
from spacy_elmo.bilm import BiLMNetwork, Precision

REFERENCE_LENGTH = 50  # characters that the other implementations pad every word to


def measure(
    bilm: BiLM,
    sentences: list[list[str]],
    peers: dict[str, Peer],
    peer_sentences: int,
    folder: Path,
    repeats: int,
) -> dict[str, Any]:
    """Time our precisions, other implementations, and plain matrix products in turn.

    bilm: Its network is computed in each precision.
    peers: Other implementations that have loaded the same weights.
    peer_sentences: Sentences that they are timed on; 0 for all. Words a second are compared.
    folder: For files.
    RETURNS: For each run the words a second, cold and warm; the share of the peak of matrix
        products that the LSTMs reach and the whole, counting no product twice that is needed once;
        and the ratios to other implementations.
    """
    n_words = sum(map(len, sentences))
    fewer = sample(sentences, peer_sentences)
    n_fewer = sum(map(len, fewer))
    request = write_json(fewer, folder / "sentences.json")

    runs: dict[str, Callable[[], Figures]] = {}
    for precision in get_args(Precision):
        runs[precision] = partial(_run, BiLM(bilm.network, precision), sentences)
    for name, peer in peers.items():
        runs[name] = partial(_run_peer, peer, request)
    for run in runs.values():
        run()  # packs weights, compiles kernels; TensorFlow, too, is slow at first
    for precision in get_args(Precision):
        runs[f"peak {precision}"] = partial(_run_peak, precision)
    results = take_turns(runs, repeats)

    config = bilm.config
    tokens = {*config.char_cnn.boundaries}.union(*sentences)
    lstms = products.of_lstms(config) * (n_words + 2 * len(sentences))
    encoder = products.of_distinct_words(bilm.network, sorted(tokens))
    per_token = products.of_lstms(config) + products.of_encoder(config, REFERENCE_LENGTH)
    peaks = {
        name.removeprefix("peak "): {
            kernel: statistics.median(values) for kernel, values in figures.items()
        }
        for name, figures in results.items()
        if name.startswith("peak ")
    }
    rows: dict[str, dict[str, float]] = {}
    for precision, kernels in peaks.items():
        figures, peak = results[precision], max(kernels.values())
        cold, warm, in_lstms = (
            statistics.median(figures[name]) for name in ("cold", "warm", "lstms")
        )
        rows[precision] = {
            "words_per_second_cold": round(n_words / cold),
            "words_per_second_warm": round(n_words / warm),
            "words_per_second_at_peak_cold": round(n_words * peak / (lstms + encoder)),
            "words_per_second_at_peak_warm": round(n_words * peak / lstms),
            "share_of_peak_lstms": round(lstms / in_lstms / peak, 3),
            "share_of_peak_cold": round((lstms + encoder) / cold / peak, 3),
            "share_of_peak_warm": round(lstms / warm / peak, 3),
        }
        for name in peers:
            per_word = [seconds * n_words / n_fewer for seconds in results[name]["cold"]]
            rows[precision][f"cold_to_{name}"] = median_ratio(per_word, figures["cold"])
            rows[precision][f"warm_to_{name}"] = median_ratio(per_word, figures["warm"])
    for name in peers:
        seconds, peak = statistics.median(results[name]["cold"]), max(peaks["float32"].values())
        needed = per_token * (n_fewer + 2 * len(fewer))
        rows[name] = {
            "words_per_second_cold": round(n_fewer / seconds),
            "words_per_second_at_peak_cold": round(n_fewer * peak / needed),
            "share_of_peak_cold": round(needed / seconds / peak, 3),
        }
    return {
        "words": n_words,
        "distinct_words": len(tokens) - 2,
        "sentences": len(sentences),
        "peer_sentences": len(fewer) if peers else 0,
        "million_products": {
            "lstms_per_token": round(products.of_lstms(config) / 1e6, 2),
            "encoder_per_distinct_word": round(encoder / len(tokens) / 1e6, 2),
            "encoder_per_padded_word": round(
                products.of_encoder(config, REFERENCE_LENGTH) / 1e6, 2
            ),
        },
        "peak_billion_products_per_second": {
            precision: {kernel: round(value / 1e9, 1) for kernel, value in kernels.items()}
            for precision, kernels in peaks.items()
        },
        "runs": rows,
    }


def show(result: dict[str, Any]) -> None:
    """Print tables."""
    needed, peaks = result["million_products"], result["peak_billion_products_per_second"]
    print(
        f"{result['words']:,} words in {result['sentences']:,} sentences, "
        f"{result['distinct_words']:,} of them distinct"
    )
    if result["peer_sentences"]:
        print(f"Other implementations: {result['peer_sentences']:,} of the sentences")
    print(
        f"Million multiply-adds: LSTMs {needed['lstms_per_token']} a token, token encoder "
        f"{needed['encoder_per_distinct_word']} a distinct word, "
        f"{needed['encoder_per_padded_word']} a word padded to {REFERENCE_LENGTH} characters"
    )
    peers = [name for name in result["runs"] if name not in peaks]
    speed = {"words/s cold": "words_per_second_cold", "warm": "words_per_second_warm"}
    for name in peers:
        speed |= {f"cold to {name}": f"cold_to_{name}", f"warm to {name}": f"warm_to_{name}"}
    _table(result["runs"], speed)
    kernels = [(p, k, v) for p, values in peaks.items() for k, v in values.items()]
    print("Peak of matrix products, billion multiply-adds a second:", end=" ")
    print(", ".join(f"{precision} {kernel} {value}" for precision, kernel, value in kernels))
    floor = {
        "words/s at peak, cold": "words_per_second_at_peak_cold",
        "warm": "words_per_second_at_peak_warm",
        "share of peak, cold": "share_of_peak_cold",
        "warm ": "share_of_peak_warm",
        "LSTMs alone": "share_of_peak_lstms",
    }
    _table(result["runs"], floor)


def _table(runs: dict[str, dict[str, float]], columns: dict[str, str]) -> None:
    """columns: The figure that stands below each heading."""
    msg.table(
        [
            (name, *(_cell(key, row.get(key)) for key in columns.values()))
            for name, row in runs.items()
        ],
        header=("", *columns),
        aligns=("l", *"r" * len(columns)),
    )


def _cell(key: str, value: Optional[float]) -> str:
    if value is None:
        return ""
    if key.startswith("words"):
        return f"{value:,}"
    return f"{value:.0%}" if key.startswith("share") else f"{value:.2f}"


def _run(bilm: BiLM, sentences: list[list[str]]) -> Figures:
    """The seconds without remembered words; then with all words remembered; and of the latter those
    inside the LSTMs."""
    bilm._engine.forget_words()
    cold = seconds_of(lambda: bilm.embed(sentences))
    with _seconds_inside(bilm.network) as calls:
        warm = seconds_of(lambda: bilm.embed(sentences))
    return {"cold": cold, "warm": warm, "lstms": sum(calls)}


@contextmanager
def _seconds_inside(network: BiLMNetwork) -> Iterator[list[float]]:
    """Note how long each call of the network takes: the LSTMs, for words that have been encoded."""
    starts: list[float] = []
    seconds: list[float] = []
    # The packed network, which computes, has the hooks of the network that it was made of.
    hooks = [
        network.register_forward_pre_hook(lambda *_: starts.append(perf_counter())),
        network.register_forward_hook(lambda *_: seconds.append(perf_counter() - starts[-1])),
    ]
    yield seconds
    for hook in hooks:
        hook.remove()
    if not seconds:
        raise RuntimeError("What computed doesn't have the hooks of the biLM's network.")


def _run_peer(peer: Peer, request: Path) -> Figures:
    return {"cold": peer.seconds(request)}


def _run_peak(precision: Precision) -> Figures:
    figures = {"packed": products.peak(precision)}
    if precision == "float32":
        figures["torch.mm"] = products.peak(None)
    return figures
