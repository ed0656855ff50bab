"""Train re-rankers on questions and their answers."""

from pathlib import Path
from typing import Dict, List

import numpy as np
import torch
import typer
from asked import Asked, ask_all
from measures import summarize
from reranker import learn, write_reranker
from spaces import Space
from wasabi import msg


def main(
    index: Path = typer.Argument(..., help="By build.py"),
    collection: Path = typer.Argument(..., exists=True, help="Folder by prepare.py"),
    output: Path = typer.Argument(..., help="Folder for the re-rankers"),
    seeds: str = typer.Option("0", help="Trainings of each: 0,1,2"),
) -> None:
    """Train re-rankers by static vectors and by each layer of ELMo. Of the layer that is best for
    development questions, the first goes beside the index, where ask.py finds it."""
    torch.set_num_threads(1)
    try:
        asked = ask_all(index, collection)
    except ValueError as error:
        msg.fail("Can't train", str(error), exits=1)
    found: Dict[str, List[float]] = {}
    for name, space in asked.spaces.items():
        for seed in map(int, seeds.split(",")):
            mrr = train(asked, name, space, seed, output)
            found.setdefault(name, []).append(mrr)
            msg.text(f"{name}, seed {seed}: MRR {mrr:.1f} % for development questions")
    layers = [name for name in found if name.startswith("ELMo")]
    best = max(layers, key=lambda name: np.mean(found[name]))
    chosen = output / f"{file_name(best, int(seeds.split(',')[0]))}.npz"
    beside = index.with_name("reranker.npz")
    beside.write_bytes(chosen.read_bytes())
    msg.good(f"{beside}: {best}")


def file_name(space: str, seed: int) -> str:
    """Of a re-ranker."""
    return f"{space.lower().replace(',', '').replace(' ', '-')}-{seed}"


def train(asked: Asked, name: str, space: Space, seed: int, folder: Path) -> float:
    """Train a re-ranker and write it as it was after its best epoch.

    RETURNS: MRR in percent for development questions.
    """
    train, dev = (asked.of_part(part) for part in ("train", "dev"))
    lists = asked.lists(train, space)
    best = 0.0
    for model in learn(lists, space.answers[0], seed):
        mrr = summarize(asked.reranked(dev, space, model)).mrr
        if mrr > best:
            best = mrr
            about = {"space": name, "seed": seed, "index": asked.index.fingerprint}
            write_reranker(model, folder / f"{file_name(name, seed)}.npz", **about)
    return best


if __name__ == "__main__":
    typer.run(main)
