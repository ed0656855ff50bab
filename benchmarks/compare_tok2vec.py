"""What ELMo is worth: test scores of a shipped config against the same config with spaCy's stock
tok2vec in its place, both trained for the same steps with several seeds. Prints a table and one
line of JSON.

    python benchmarks/compare_tok2vec.py configs/ner.cfg train.spacy dev.spacy test.spacy

A run takes one thread; --jobs of them run side by side.
"""

import json
import os
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import List

import spacy
import typer
from spacy.tokens import DocBin
from spacy.training import Example
from spacy.util import load_config
from thinc.api import Config
from wasabi import msg

METRICS = ("ents_f", "cats_score", "cats_micro_f")


def main(
    config: Path = typer.Argument(..., help="A config with an elmo and one other component"),
    train: Path = typer.Argument(..., help="Training data, .spacy"),
    dev: Path = typer.Argument(..., help="Development data, which chooses the best step"),
    test: Path = typer.Argument(..., help="Test data, scored once"),
    output: Path = typer.Option(Path("comparison"), help="Where pipelines and logs go"),
    seeds: List[int] = typer.Option([0, 1, 2], help="One run for each"),
    jobs: int = typer.Option(2, help="Runs side by side"),
    max_steps: int = typer.Option(0, help="Instead of the config's"),
) -> None:
    """Train, score and compare."""
    output.mkdir(parents=True, exist_ok=True)
    shipped = load_config(config)
    if max_steps:
        shipped["training"]["max_steps"] = max_steps
    paths = {"train": train.absolute(), "dev": dev.absolute()}
    shipped["paths"].update({name: str(path) for name, path in paths.items()})
    configs = {"elmo": shipped, "stock": without_elmo(shipped)}

    def run(name: str, seed: int) -> dict[str, float]:
        folder = output / f"{name}-{seed}"
        folder.mkdir(exist_ok=True)
        path = folder / "config.cfg"
        configs[name].merge({"system": {"seed": seed}}).to_disk(path)
        command = [sys.executable, "-m", "spacy", "train", str(path), "--output", str(folder)]
        env = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        with (folder / "log.txt").open("w") as log:
            subprocess.run(command, check=True, stdout=log, stderr=log, env=env)
        return score(folder / "model-best", test)

    # In turn, so that both kinds see the same state of the machine.
    tasks = [(name, seed) for seed in seeds for name in configs]
    with ThreadPoolExecutor(jobs) as pool:
        results = dict(zip(tasks, pool.map(lambda task: run(*task), tasks)))

    summary: dict[str, dict[str, dict[str, object]]] = {}
    for name in configs:
        for metric in METRICS:
            if metric in results[name, seeds[0]]:
                values = [round(100 * results[name, seed][metric], 2) for seed in seeds]
                summary.setdefault(metric, {})[name] = {
                    "mean": round(statistics.mean(values), 2),
                    "spread": round(statistics.stdev(values), 2) if len(seeds) > 1 else 0,
                    "values": values,
                }
    rows = [
        (metric, name, figures["mean"], figures["spread"], figures["values"])
        for metric, by_name in summary.items()
        for name, figures in by_name.items()
    ]
    msg.table(rows, header=("score", "tok2vec", "mean", "standard deviation", "seeds"))
    print(json.dumps({"config": config.name, "test": test.name, "seeds": seeds, **summary}))


def without_elmo(config: Config) -> Config:
    """The same config without its elmo component and with spaCy's stock tok2vec, of the same width
    and depth as the one that ELMo was a part of."""
    stock = config.copy()
    del stock["components"]["elmo"]
    stock["nlp"]["pipeline"] = [name for name in stock["nlp"]["pipeline"] if name != "elmo"]
    [component] = stock["components"].values()
    encode = component["model"]["tok2vec"]["encode"]
    component["model"]["tok2vec"] = {
        "@architectures": "spacy.HashEmbedCNN.v2",
        "pretrained_vectors": None,
        "embed_size": 2000,
        "subword_features": True,
        **{key: encode[key] for key in ("width", "depth", "window_size", "maxout_pieces")},
    }
    return stock


def score(pipeline: Path, test: Path) -> dict[str, float]:
    """Scores of a trained pipeline on gold-standard tokens."""
    nlp = spacy.load(pipeline)
    golds = list(DocBin().from_disk(test).get_docs(nlp.vocab))
    examples = [
        Example(
            spacy.tokens.Doc(nlp.vocab, [t.text for t in doc], [bool(t.whitespace_) for t in doc]),
            doc,
        )
        for doc in golds
    ]
    scores = nlp.evaluate(examples)
    return {metric: scores[metric] for metric in METRICS if scores.get(metric) is not None}


if __name__ == "__main__":
    typer.run(main)
