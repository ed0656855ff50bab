"""Measures speed, memory and exactness. Prints tables and, last, one line of JSON.

    python benchmarks/run.py TEXT.txt
    python benchmarks/run.py TEXT.txt --only inference,latency --size original \\
        --peer-python ALLENNLP/bin/python --tensorflow-python SIMPLE_ELMO/bin/python

README.md says what each part measures, and how the environments of other programs are made.
"""

import contextlib
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Optional

import frozen_training
import inference
import latency
import load
import material
import memory
import pipeline
import precision
import torch
import typer
from timing import Peer
from wasabi import msg

from spacy_elmo import BiLM

PARTS = {
    "inference": inference.show,
    "latency": latency.show,
    "pipeline": pipeline.show,
    "precision": precision.show,
    "load": load.show,
    "memory": memory.show,
    "training": frozen_training.show,
}

SCRIPTS = {"AllenNLP": "allennlp_bilm", "simple_elmo": "simple_elmo_bilm"}  # in the folder peers


def main(
    text: Path = typer.Argument(..., help="Plain text, one document a line"),
    only: Optional[str] = typer.Option(None, help=f"Some of the parts: {','.join(PARTS)}"),
    source: str = typer.Option("en_small", help="The biLM of inference and latency"),
    size: Optional[str] = typer.Option(
        None, help="Instead of a source, random weights: small, medium or original"
    ),
    sentences: int = typer.Option(1000, help="Sentences to measure on"),
    repeats: int = typer.Option(5, help="Runs of each kind; medians are reported"),
    threads: int = typer.Option(2, help="Threads of all but the training"),
    peer_python: Optional[Path] = typer.Option(None, help="A Python that has AllenNLP"),
    tensorflow_python: Optional[Path] = typer.Option(None, help="A Python that has simple_elmo"),
    transformers_python: Optional[Path] = typer.Option(
        None, help="A Python that has spacy-transformers and MiniLM"
    ),
    peer_sentences: int = typer.Option(
        0, help="Inference of AllenNLP and simple_elmo on so many of the sentences; 0 for all"
    ),
    memory_words: int = typer.Option(1_000_000, help="Words that memory is measured on"),
    config: Path = typer.Option(Path("configs/ner.cfg"), help="Of the training"),
    train: Optional[Path] = typer.Option(None, help="Its data; without it, no training"),
    dev: Optional[Path] = typer.Option(None, help="Its development data"),
    epochs: int = typer.Option(6, help="Its epochs; at least 2"),
) -> None:
    """Measure the parts one after the other, each in turns of its kinds of run."""
    if only is not None:
        parts = only.split(",")
    else:
        parts = [part for part in PARTS if part != "training" or (train and dev)]
    for part in parts:
        if part not in PARTS:
            raise typer.BadParameter(f"No part is called '{part}'; there are {', '.join(PARTS)}.")
    if "training" in parts and not (train and dev):
        raise typer.BadParameter("The part 'training' needs --train and --dev.")
    if size is not None and size not in material.SIZES:
        raise typer.BadParameter(f"No size is called '{size}': {', '.join(material.SIZES)}.")
    torch.set_num_threads(threads)
    words = material.read_text(text, sentences)
    name = source if size is None else f"random {size}"
    bilm = BiLM.load(source) if size is None else material.random_bilm(size)
    result: dict[str, Any] = {
        "source": name,
        "threads": threads,
        "repeats": repeats,
        "torch": torch.__version__,
        "instructions": torch.backends.cpu.get_cpu_capability(),
    }
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)

        @contextlib.contextmanager
        def start_peers() -> Iterator[dict[str, Peer]]:
            """Other implementations of the biLM, with its weights."""
            pythons = {"AllenNLP": peer_python, "simple_elmo": tensorflow_python}
            if any(pythons.values()):
                bilm.save(folder / "weights.hdf5", format="hdf5")
            with contextlib.ExitStack() as stack:
                yield {
                    peer: stack.enter_context(Peer(SCRIPTS[peer], python, threads, folder))
                    for peer, python in pythons.items()
                    if python is not None
                }

        def measure_inference() -> dict[str, Any]:
            with start_peers() as peers:
                return inference.measure(
                    bilm, words.sentences, peers, peer_sentences, folder, repeats
                )

        def measure_latency() -> dict[str, Any]:
            with start_peers() as peers:
                return latency.measure(bilm, words.sentences, peers, folder, repeats)

        def measure_pipeline() -> dict[str, Any]:
            if transformers_python is None:
                return pipeline.measure(words, None, folder, repeats)
            with Peer("transformer_pipe", transformers_python, threads) as transformer:
                return pipeline.measure(words, transformer, folder, repeats)

        def measure_precision() -> dict[str, Any]:
            bilms = {name: bilm, "en_small": BiLM.load("en_small")}
            bilms["random small"] = material.random_bilm("small")
            return precision.measure(bilms, words.sentences)

        measures: dict[str, Callable[[], dict[str, Any]]] = {
            "inference": measure_inference,
            "latency": measure_latency,
            "pipeline": measure_pipeline,
            "precision": measure_precision,
            "load": lambda: load.measure(folder, threads, repeats),
            "memory": lambda: memory.measure(words.documents, memory_words, threads, folder),
            "training": lambda: frozen_training.measure(config, train, dev, epochs),
        }
        for part in parts:
            msg.divider(f"{part}: {name}" if part in ("inference", "latency") else part)
            result[part] = measures[part]()
            PARTS[part](result[part])
    print(json.dumps(result))


if __name__ == "__main__":
    typer.run(main)
