"""``python -m spacy_elmo.projects learn``"""

import shutil
from dataclasses import replace
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
        material = Material(base, corpus, output, metrics, gpu_id)
        for name in systems.split(","):
            if name not in SYSTEMS:
                raise ValueError(f"--systems: {name!r} is none of {', '.join(SYSTEMS)}.")
        for share in map(float, shares.split(",")):
            for seed in map(int, seeds.split(",")):
                for name in systems.split(","):
                    _report(_train(material, name, share, seed), base)
    except (ValueError, OSError) as error:
        msg.fail("Can't train", str(error), exits=1)


class Material:
    """What all trainings of a command share. Scores in the folder that were measured with another
    config or on other texts are deleted: they don't belong beside those to come.

    config: With ELMo beside spaCy's features.
    corpus: Folder of train, dev and test.spacy.
    output: Folder for pipelines.
    metrics: Folder for scores.
    gpu_id: -1 for CPU.
    RAISES ValueError: There are no training texts.
    """

    def __init__(
        self, config: Config, corpus: Path, output: Path, metrics: Path, gpu_id: int
    ) -> None:
        self.config, self.output, self.metrics, self.gpu_id = config, output, metrics, gpu_id
        self.parts = {part: corpus / f"{part}.spacy" for part in ("train", "dev", "test")}
        self.texts = read_docs(self.parts["train"], spacy.blank("en").vocab)
        self.fingerprint = self._fingerprint()
        for path in metrics.glob("*.json"):
            if read_run(path).fingerprint not in ("", self.fingerprint):
                path.unlink()

    def _fingerprint(self) -> str:
        config = self.config.copy()
        config["system"]["seed"] = 0  # is in each run's name
        digest = sha256(config.to_str().encode())
        for path in [*self.parts.values(), *_files_of_sources(config)]:
            digest.update(path.read_bytes())
        return digest.hexdigest()[:16]


def _files_of_sources(config: Config) -> List[Path]:
    """The files of a biLM in a folder, and those of static vectors: either may be made anew under
    the same name."""
    sources = [
        config["components"].get("elmo", {}).get("model", {}).get("source"),
        config.get("paths", {}).get("vectors"),
    ]
    folders = [Path(source) for source in sources if isinstance(source, str)]
    files = [path for folder in folders if folder.is_dir() for path in sorted(folder.rglob("*"))]
    return [path for path in files if path.is_file()]


def _train(material: Material, system: str, share: float, seed: int) -> Run:
    """Train and score one pipeline, unless that has been done.

    RAISES ValueError: The share is too small.
    """
    texts = draw(material.texts, share, seed)
    if not count_labels(texts):
        raise ValueError(f"A share of {share:g}: its {len(texts)} texts have no labels.")
    run = Run(system, len(texts), share, seed, {}, material.fingerprint)
    folder = material.output / run.name
    done = material.metrics / f"{run.name}.json"
    if done.exists() and (folder / "model-best").exists():
        return read_run(done)
    shutil.rmtree(folder, ignore_errors=True)
    write_docs(texts, folder / "train.spacy")
    config = SYSTEMS[system](material.config)
    config["system"]["seed"] = seed
    config["paths"]["train"] = str(folder / "train.spacy")
    config["paths"]["dev"] = str(material.parts["dev"])
    config.to_disk(folder / "config.cfg")
    train_pipeline(folder / "config.cfg", folder, use_gpu=material.gpu_id)
    shutil.rmtree(folder / "model-last")
    scores = score_pipeline(folder / "model-best", material.parts["test"])
    run = replace(run, scores=scores)
    run.write(material.metrics)
    return run


def _report(run: Run, config: Config) -> None:
    """Print the scores that the config weighs."""
    weights: Dict[str, float] = config["training"]["score_weights"]
    shown = [name for name, weight in weights.items() if weight and name in run.scores]
    scores = ", ".join(f"{name} {100 * run.scores[name]:.1f}" for name in shown)
    msg.good(f"{run.system}, {run.n_texts} texts, seed {run.seed}: {scores}")
