"""What ELMo is worth: test scores of a shipped config against the same config with spaCy's stock
tok2vec in its place, both trained for the same steps with several seeds. Prints a table and one
line of JSON.

    python benchmarks/compare_tok2vec.py configs/ner.cfg train.spacy dev.spacy test.spacy
    python benchmarks/compare_tok2vec.py configs/ner.cfg train.spacy dev.spacy test.spacy \
        --share 0.1 --source en_small --source my_bilm

A run takes one thread; --jobs of them run side by side. With --share, each seed draws its own part
of the training texts, the same for every tok2vec; development and test data stay whole.
"""

import json
import os
import random
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
    source: List[str] = typer.Option([], help="biLMs to compare, instead of the config's"),
    share: float = typer.Option(1.0, help="How much of the training data, above 0", max=1.0),
    seeds: List[int] = typer.Option([0, 1, 2], help="One run for each"),
    jobs: int = typer.Option(2, help="Runs side by side"),
    max_steps: int = typer.Option(0, help="Instead of the config's"),
    resume: bool = typer.Option(False, help="Keep the scores that an interrupted call has left"),
) -> None:
    """Train, score and compare."""
    output.mkdir(parents=True, exist_ok=True)
    shipped = load_config(config)
    if max_steps:
        shipped["training"]["max_steps"] = max_steps
    shipped["paths"]["dev"] = str(dev.absolute())
    texts = {seed: str(draw(train, share, seed, output).absolute()) for seed in seeds}
    configs = {"stock": without_elmo(shipped), **with_sources(shipped, source)}

    def run(name: str, seed: int) -> dict[str, float]:
        folder = output / f"{name}-{seed}"
        folder.mkdir(exist_ok=True)
        scores = folder / "scores.json"
        if resume and scores.exists():
            return dict(json.loads(scores.read_text()))
        path = folder / "config.cfg"
        changes = {"system": {"seed": seed}, "paths": {"train": texts[seed]}}
        configs[name].merge(changes).to_disk(path)
        command = [sys.executable, "-m", "spacy", "train", str(path), "--output", str(folder)]
        env = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        with (folder / "log.txt").open("w") as log:
            subprocess.run(command, check=True, stdout=log, stderr=log, env=env)
        result = score(folder / "model-best", test)
        scores.write_text(json.dumps(result))
        return result

    # In turn, so that all kinds see the same state of the machine.
    tasks = [(name, seed) for seed in seeds for name in configs]
    with ThreadPoolExecutor(jobs) as pool:
        results = dict(zip(tasks, pool.map(lambda task: run(*task), tasks), strict=True))

    summary: dict[str, dict[str, dict[str, object]]] = {}
    for metric in METRICS:
        if metric in results["stock", seeds[0]]:
            by_name = {
                name: [round(100 * results[name, seed][metric], 2) for seed in seeds]
                for name in configs
            }
            summary[metric] = summarize(by_name)
    rows = [
        (metric, name, *figures.values())
        for metric, of_metric in summary.items()
        for name, figures in of_metric.items()
    ]
    header = ("score", "tok2vec", "mean", "standard deviation", "seeds", "stock's errors removed")
    msg.table(rows, header=header)
    data = {"config": config.name, "test": test.name, "share": share, "seeds": seeds}
    print(json.dumps({**data, **summary}))


def draw(train: Path, share: float, seed: int, output: Path) -> Path:
    """Choose training texts at random, in their order. RETURNS: Their file."""
    if share == 1:
        return train
    docs = list(DocBin().from_disk(train).get_docs(spacy.blank("en").vocab))
    n = round(share * len(docs))
    if n < 1:
        raise ValueError(f"A share of {share} of the {len(docs)} texts in {train} is none.")
    chosen = sorted(random.Random(seed).sample(range(len(docs)), n))
    path = output / f"train-{seed}.spacy"
    DocBin(docs=[docs[i] for i in chosen], store_user_data=True).to_disk(path)
    return path


def summarize(by_name: dict[str, list[float]]) -> dict[str, dict[str, object]]:
    """Mean, spread and values of each tok2vec's scores, and the share of stock's errors that it
    doesn't make, in percent: errors are what the mean lacks to 100."""
    stock_errors = 100 - statistics.mean(by_name["stock"])
    summary: dict[str, dict[str, object]] = {}
    for name, values in by_name.items():
        errors = 100 - statistics.mean(values)
        summary[name] = {
            "mean": round(100 - errors, 2),
            "spread": round(statistics.stdev(values), 2) if len(values) > 1 else 0,
            "values": values,
            "errors_removed": round(100 * (1 - errors / stock_errors), 1) if stock_errors else 0,
        }
    return summary


def with_sources(config: Config, sources: List[str]) -> dict[str, Config]:
    """The same config for each biLM, under its last name; without any, for its own as "elmo"."""
    configs = {}
    for source in sources:
        # A directory is named by its whole path: training reads its config elsewhere.
        path = str(Path(source).absolute()) if Path(source).exists() else source
        changes = {"components": {"elmo": {"model": {"source": path}}}}
        configs[Path(source).name] = config.merge(changes)
    if len(configs) < len(sources) or "stock" in configs:
        raise ValueError(f"Give biLMs of different names, none of them 'stock': {sources}")
    return configs or {"elmo": config}


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
