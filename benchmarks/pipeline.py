"""Words a second of ``nlp.pipe`` with a component ``elmo``, and with a transformer."""

import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Optional, get_args

import spacy
from material import Text, write_json
from spacy.language import Language
from timing import Figures, Peer, median_ratio, seconds_of, take_turns
from wasabi import msg

from spacy_elmo.bilm import Precision

SOURCE = "en_small"
TRANSFORMER = "MiniLM-L6"


def measure(text: Text, transformer: Optional[Peer], folder: Path, repeats: int) -> dict[str, Any]:
    """Time ``nlp.pipe`` on whole documents, tokenizing included.

    text: The documents.
    transformer: ``nlp.pipe`` of spacy-transformers in its own Python.
    folder: For files.
    RETURNS: Words a second, cold (no word remembered) and warm; ratios to the transformer.
    """
    runs: dict[str, Callable[[], Figures]] = {}
    for precision in get_args(Precision):
        nlp = spacy.blank("en")
        nlp.add_pipe("elmo", config={"model": {"source": SOURCE, "precision": precision}})
        runs[f"{SOURCE} {precision}"] = partial(_run, nlp, text.documents)
    if transformer is not None:
        request = write_json(text.documents, folder / "documents.json")
        runs[TRANSFORMER] = lambda: {"cold": transformer.seconds(request)}
    for run in runs.values():
        run()  # packs weights, compiles kernels
    results = take_turns(runs, repeats)
    rows: dict[str, dict[str, float]] = {}
    for name, figures in results.items():
        rows[name] = {
            f"words_per_second_{key}": round(text.n_words / statistics.median(values))
            for key, values in figures.items()
        }
        if transformer is not None and name != TRANSFORMER:
            others = results[TRANSFORMER]["cold"]
            for key, values in figures.items():
                rows[name][f"{key}_to_{TRANSFORMER}"] = median_ratio(others, values)
    return {"documents": len(text.documents), "words": text.n_words, "runs": rows}


def show(result: dict[str, Any]) -> None:
    """Print a table."""
    columns = list(dict.fromkeys(key for row in result["runs"].values() for key in row))
    print(f"nlp.pipe over {result['words']:,} words in {result['documents']:,} documents")
    msg.table(
        [
            (name, *(_cell(key, row.get(key)) for key in columns))
            for name, row in result["runs"].items()
        ],
        header=("", *(_heading(key) for key in columns)),
        aligns=("l", *"r" * len(columns)),
    )


def _heading(key: str) -> str:
    return key.replace("words_per_second", "words/s").replace("_", " ")


def _cell(key: str, value: Optional[float]) -> str:
    if value is None:
        return ""
    return f"{value:,}" if key.startswith("words") else f"{value:.2f}"


def _run(nlp: Language, texts: list[str]) -> Figures:
    engine = nlp.get_pipe("elmo").bilm.shims[0].engine  # type: ignore[attr-defined]
    engine.forget_words()

    def pipe() -> None:
        for _ in nlp.pipe(texts):
            pass

    return {"cold": seconds_of(pipe), "warm": seconds_of(pipe)}
