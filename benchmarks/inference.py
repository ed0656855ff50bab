"""How fast vectors are computed: ``nlp.pipe`` and ``BiLM.embed`` in words a second, and the time to
a first Doc in a fresh process. With --peer-python, AllenNLP's biLM runs beside them on the same
weights and sentences. Prints a table and one line of JSON.

    python benchmarks/inference.py TEXT.txt [--peer-python VENV_WITH_ALLENNLP/bin/python]
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Callable, Optional

import spacy
import torch
import typer
from wasabi import msg

from spacy_elmo import BiLM
from spacy_elmo.spans import configure_sentences, cut_sentences

PEER = Path(__file__).parent / "peer_allennlp.py"
FIRST_DOC = """
import time; start = time.perf_counter()
import spacy; imported = time.perf_counter()
nlp = spacy.blank("en"); nlp.add_pipe("elmo"); added = time.perf_counter()
nlp("He sat on the bank of the river."); done = time.perf_counter()
print(imported - start, added - imported, done - added)
"""


def main(
    text: Path = typer.Argument(..., help="Plain text, one document a line"),
    source: str = typer.Option("en_small", help="The biLM"),
    threads: int = typer.Option(2, help="Threads of PyTorch"),
    repeats: int = typer.Option(5, help="Runs; medians are reported"),
    limit: int = typer.Option(1000, help="Documents to read"),
    peer_python: Optional[Path] = typer.Option(None, help="A Python that has AllenNLP"),
) -> None:
    """Measure, each kind of run in turn, so that all see the same state of the machine."""
    torch.set_num_threads(threads)
    nlp = spacy.blank("en")
    nlp.add_pipe("elmo", config={"model": {"source": source}})
    with text.open(encoding="utf8") as file:
        texts = [line.strip() for line in file if line.strip()][:limit]
    docs = [nlp.make_doc(line) for line in texts]
    sentences = [s.words for spans in configure_sentences()(docs) for s in cut_sentences(spans)]
    n_words = sum(map(len, sentences))
    bilm = BiLM.load(source)

    def pipe() -> float:
        return _seconds(lambda: [None for _ in nlp.pipe(texts)])

    def embed() -> float:
        return _seconds(lambda: bilm.embed(sentences))

    with tempfile.TemporaryDirectory() as folder:
        runs: dict[str, Callable[[], float]] = {"nlp.pipe": pipe, "BiLM.embed": embed}
        if peer_python is not None:
            runs["AllenNLP"] = _peer(peer_python, bilm, sentences, Path(folder), threads)
        for run in runs.values():
            run()  # warm up
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(repeats):
            for name, run in runs.items():
                seconds[name].append(run())
        startup = [_first_doc(threads) for _ in range(repeats)]

    speed = {name: n_words / statistics.median(values) for name, values in seconds.items()}
    result = {
        "source": source,
        "threads": threads,
        "words": n_words,
        "sentences": len(sentences),
        "words_per_second": {name: round(value) for name, value in speed.items()},
        "ratio_to_allennlp": {
            name: round(speed[name] / speed["AllenNLP"], 2) for name in speed if "AllenNLP" in speed
        },
        "first_doc_seconds": {
            step: round(statistics.median(values), 2)
            for step, values in zip(("import spacy", "add_pipe", "first doc"), zip(*startup))
        },
    }
    msg.table(
        [(name, f"{v:,.0f}", f"{v / speed['nlp.pipe']:.2f}") for name, v in speed.items()],
        header=("", "words/s", "to nlp.pipe"),
        aligns=("l", "r", "r"),
    )
    print(json.dumps(result))


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _peer(
    python: Path, bilm: BiLM, sentences: list[list[str]], folder: Path, threads: int
) -> Callable[[], float]:
    """A run of AllenNLP in its own Python; it reports its seconds without loading."""
    bilm.save(folder / "weights.hdf5", format="hdf5")
    (folder / "sentences.json").write_text(json.dumps(sentences))

    def run() -> float:
        command = [str(python), str(PEER), str(folder), str(threads)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return float(output.split()[-1])

    return run


def _first_doc(threads: int) -> list[float]:
    env = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, "-c", FIRST_DOC]
    output = subprocess.run(command, check=True, capture_output=True, text=True, env=env).stdout
    return [float(value) for value in output.split()]


if __name__ == "__main__":
    typer.run(main)
