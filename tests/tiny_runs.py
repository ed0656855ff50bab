"""Runs of pretraining that take a moment."""

import json
import random
from pathlib import Path

import torch
from spacy.util import load_config

from spacy_elmo.pretraining.learning.processes import Processes
from spacy_elmo.pretraining.run import Run
from spacy_elmo.pretraining.settings.resolve import resolve

CONFIG = Path(__file__).parent.parent / "configs" / "pretrain.cfg"
SIZES = {
    "nlp.lang": "xx",  # whose tokenizer is made at once; English has 1,500 special cases
    "bilm.lstm.dim": 16,
    "bilm.lstm.projection_dim": 8,
    "bilm.char_cnn.filters": [[1, 4], [2, 4]],
    "bilm.char_cnn.embedding.dim": 4,
    "vocabulary.min_count": 1,
    "training.batch_size": 4,
    "training.n_steps": 5,
    "training.n_samples": 8,
    "training.max_steps": 24,
    "training.eval_frequency": 4,
    "training.mixed_precision": False,
    "training.n_process": 1,
    "training.logger.progress_bar": False,
    "training.optimizer.learn_rate.warmup_steps": 4,
}
_WORDS = ["the", "a", "man", "dog", "cat", "sees", "likes", "big", "house", "river", "bank", "on"]


def write_text(path, n_sentences, seed=0):
    """Sentences of random words, one a line."""
    random.seed(seed)
    lines = [" ".join(random.choices(_WORDS, k=random.randint(2, 9))) for _ in range(n_sentences)]
    path.write_text("".join(f"{line.capitalize()}.\n" for line in lines), encoding="utf-8")
    return path


def overrides_of(folder, **changes):
    """The settings of a tiny run on texts that are made in a folder. A change's name has "__" for
    a dot: ``training__seed=1``."""
    text, dev = folder / "train.txt", folder / "dev.txt"
    if not text.exists():
        write_text(text, 300), write_text(dev, 30, seed=1)
    named = {name.replace("__", "."): value for name, value in changes.items()}
    return {**SIZES, "paths.train": str(text), "paths.dev": str(dev), **named}


def arguments(folder, **changes):
    """The same for the command line."""
    pairs = overrides_of(folder, **changes).items()
    values = [
        (name, value if isinstance(value, str) else json.dumps(value)) for name, value in pairs
    ]
    return [str(CONFIG), *(part for name, value in values for part in (f"--{name}", value))]


def make_run(output, *, keep_softmax=True, **changes):
    """A run that isn't started yet; its texts lie beside its folder."""
    settings = resolve(load_config(CONFIG, overrides=overrides_of(output.parent, **changes)))
    output.mkdir(exist_ok=True)
    return Run(settings, output, Processes(0, 1, torch.device("cpu")), keep_softmax=keep_softmax)


def pretrain(output, *, resume=False, keep_softmax=True, **changes):
    """A run to its end."""
    run = make_run(output, keep_softmax=keep_softmax, **changes)
    run.start(resume)
    run.train()
    return run


def memory_of_runs(folder):
    """A function that gives what a run leaves, which it does once for the same settings."""
    known = {}

    def unbroken(**changes):
        key = json.dumps(changes)
        if key not in known:
            output = folder / str(len(known))
            pretrain(output, **changes)
            known[key] = results(output)
        return known[key]

    return unbroken


def results(output):
    """What two runs that learned the same have in common: the log without times, and the bytes of
    the weights."""
    times = {"seconds", "tokens_per_second", "seconds_left"}
    lines = (output / "log.jsonl").read_text().splitlines()
    log = [{k: v for k, v in json.loads(line).items() if k not in times} for line in lines]
    names = ("model-last", "model-best")
    files = [file for name in names for file in sorted((output / name).glob("*.safetensors"))]
    return log, {f"{file.parent.name}/{file.name}": file.read_bytes() for file in files}


def checkpoint_steps(output):
    return sorted(int(path.name[5:]) for path in (output / "checkpoints").glob("step-*"))
