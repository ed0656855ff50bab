"""``python -m spacy_elmo.projects learn``"""

import shutil
from hashlib import sha256
from pathlib import Path
from typing import Dict, List

import spacy
import torch
import typer
from spacy.cli._util import parse_config_overrides
from spacy.cli.train import train as train_pipeline
from spacy.util import load_config
from thinc.api import Config
from wasabi import msg

from .corpora.binary import read_docs, write_docs
from .corpora.labels import count_labels
from .corpora.split import draw
from .evaluate import score_pipeline
from .runs import Run, read_run
from .systems import SYSTEMS


def learn(
    context: typer.Context,
    config: Path = typer.Argument(..., exists=True, help="Config with 'elmo', as in configs/"),
    corpus: Path = typer.Argument(..., exists=True, help="Folder of train, dev and test.spacy"),
    output: Path = typer.Argument(..., help="Folder for the pipelines"),
    metrics: Path = typer.Argument(..., help="Folder for their scores"),
    systems: str = typer.Option("stock,elmo,both", help="What to train: stock, elmo, both"),
    shares: str = typer.Option("1", help="Shares of the training texts: 0.1,0.3,1"),
    seeds: str = typer.Option("0", help="Trainings of each: 0,1,2"),
    gpu_id: int = typer.Option(-1, "--gpu-id", help="GPU or -1 for CPU"),
) -> None:
    """Train a config on shares of the texts, with ELMo and without, and score each on test.spacy.

    Further options override the config (--training.max_steps 100). What has been trained with the
    same config on the same texts is left as it is.
    """
    if gpu_id < 0:
        # Steps over a batch of a hundred words are too small to share among threads.
        torch.set_num_threads(1)
    try:
        base = load_config(config, overrides=parse_config_overrides(context.args))
        trainings = [
            (float(share), int(seed), system)
            for share in shares.split(",")
            for seed in seeds.split(",")
            for system in systems.split(",")
        ]
        unknown = {system for *_, system in trainings} - set(SYSTEMS)
        if unknown:
            raise ValueError(f"--systems: {min(unknown)!r} is none of {', '.join(SYSTEMS)}.")
        for share, seed, system in trainings:
            changed = SYSTEMS[system](base)
            changed["system"]["seed"] = seed
            run = _train(system, changed, corpus, output, metrics, share, seed, gpu_id)
            texts = f"{run.n_texts} texts"
            scores = ", ".join(
                f"{key} {100 * run.scores[key]:.1f}" for key in _main_scores(base, run)
            )
            msg.good(f"{system}, {texts}, seed {seed}: {scores}")
    except (ValueError, OSError) as error:
        msg.fail("Can't train", str(error), exits=1)


def _train(
    system: str,
    config: Config,
    corpus: Path,
    output: Path,
    metrics: Path,
    share: float,
    seed: int,
    gpu_id: int,
) -> Run:
    """Train and score one pipeline, unless that has been done."""
    docs = draw(read_docs(corpus / "train.spacy", spacy.blank("en").vocab), share, seed)
    if not count_labels(docs):
        raise ValueError(f"A share of {share:g} of {corpus / 'train.spacy'} has no labels.")
    fingerprint = _fingerprint(config, [corpus / f"{part}.spacy" for part in _PARTS])
    run = Run(system, len(docs), share, seed, {}, fingerprint)
    done = metrics / f"{run.name}.json"
    if done.exists() and (output / run.name / "model-best").exists():
        earlier = read_run(done)
        if earlier.fingerprint == fingerprint:
            return earlier
    folder = output / run.name
    shutil.rmtree(folder, ignore_errors=True)  # of another config or of other texts
    write_docs(docs, folder / "train.spacy")
    config.to_disk(folder / "config.cfg")
    paths = {"paths.train": folder / "train.spacy", "paths.dev": corpus / "dev.spacy"}
    overrides = {name: str(path) for name, path in paths.items()}
    train_pipeline(folder / "config.cfg", folder, use_gpu=gpu_id, overrides=overrides)
    shutil.rmtree(folder / "model-last")
    run = Run(**{**run.__dict__, "scores": score_pipeline(folder / "model-best", _test(corpus))})
    run.write(metrics)
    return run


_PARTS = ("train", "dev", "test")


def _test(corpus: Path) -> Path:
    return corpus / "test.spacy"


def _fingerprint(config: Config, paths: List[Path]) -> str:
    digest = sha256(config.to_str().encode())
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _main_scores(config: Config, run: Run) -> List[str]:
    """Those that the config weighs, as far as there are any."""
    weights: Dict[str, float] = config["training"]["score_weights"]
    return [name for name, weight in weights.items() if weight and name in run.scores]
