"""What a user could choose. A system has a name, a kind (its colour in the picture) and tasks that
it can do, and says which commands train it, score it and time it."""

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar, NamedTuple, Union

from spacy.util import load_config
from thinc.api import Config

from worth import changes
from worth.parts import Paths
from worth.sets import TASKS

HERE = Path(__file__).parent
CONFIGS = HERE.parents[1] / "configs"

Command = list[str]
Change = Callable[[Config], Config]


class Job(NamedTuple):
    """One training.

    task: A key of ``TASKS``.
    paths: The ``.spacy`` files of train, dev and test.
    folder: Where files go; the trained pipeline, if it is one, is ``model-best`` in it.
    scores: The JSON file that the test scores are to be written to.
    seed: Of the training.
    max_steps: At most so many; 0 for the config's."""

    task: str
    paths: Paths
    folder: Path
    scores: Path
    seed: int
    max_steps: int = 0


@dataclass(frozen=True)
class Pipeline:
    """A spaCy pipeline.

    name: What reports call it.
    kind: What it is one of.
    change: Makes its config of the task's shipped one.
    python: The Python that runs it.
    """

    name: str
    kind: str
    change: Change
    python: str = sys.executable
    tasks: ClassVar[Iterable[str]] = tuple(TASKS)

    def train(self, job: Job) -> Command:
        """The command that trains, after its config has been written."""
        config = job.folder / "config.cfg"
        self.change(load_config(CONFIGS / f"{job.task}.cfg")).to_disk(config)
        command = [self.python, "-m", "spacy", "train", str(config), "--output", str(job.folder)]
        command += ["--paths.train", str(job.paths["train"]), "--paths.dev", str(job.paths["dev"])]
        command += ["--system.seed", str(job.seed)]
        return command + (["--training.max_steps", str(job.max_steps)] if job.max_steps else [])

    def score(self, job: Job) -> Command:
        """The command that writes the test scores."""
        script = [self.python, str(HERE / "score_pipeline.py"), str(job.folder / "model-best")]
        return [*script, str(job.paths["test"]), str(job.scores)]

    def time(self, job: Job, figures: Path, n_words: int) -> Command:
        """The command that writes words a second.

        job: One that was trained.
        figures: The JSON file to write them to.
        n_words: On how much of the test part.
        """
        script = [self.python, str(HERE / "time_pipeline.py"), str(job.folder / "model-best")]
        return [*script, *map(str, (job.paths["dev"], job.paths["test"], figures, n_words))]


@dataclass(frozen=True)
class Linear:
    """A linear classifier of texts.

    name: What reports call it.
    features: What it is told of a text: an argument of ``linear.py``.
    """

    name: str
    features: str
    kind: ClassVar[str] = "linear"
    tasks: ClassVar[Iterable[str]] = ("textcat",)

    def train(self, job: Job) -> Command:
        """The command that trains, and writes the test scores, since the classifier isn't kept."""
        script = [sys.executable, str(HERE / "linear.py"), self.features]
        return [
            *script,
            *(str(job.paths[part]) for part in ("train", "dev", "test")),
            str(job.scores),
        ]

    def score(self, job: Job) -> Command:
        """Nothing that is left to do."""
        return []

    def time(self, job: Job, figures: Path, n_words: int) -> Command:
        """The same command as of training, which can write words a second, too."""
        return [*self.train(job._replace(scores=figures)), "--n-words", str(n_words)]


System = Union[Pipeline, Linear]

STOCK = "stock"


def list_systems(
    sources: Iterable[str] = ("en_small",),
    vectors: Iterable[Path] = (),
    pretrained: Iterable[Path] = (),
    transformers: Iterable[Path] = (),
    transformers_python: str = sys.executable,
    linear: Iterable[str] = (),
) -> list[System]:
    """All systems that the given things make.

    sources: biLMs.
    vectors: Pipelines with static vectors.
    pretrained: Weights of the stock tok2vec by ``spacy pretrain``; their folder's name is theirs.
    transformers: Pipelines with an initialized ``transformer`` component.
    transformers_python: A Python with spacy-transformers.
    linear: Features of linear classifiers of texts.
    RAISES ValueError: Two have the same name.
    """
    vectors = [path.absolute() for path in vectors]
    systems: list[System] = [Pipeline(STOCK, "stock", changes.as_stock)]
    for path in vectors:
        change = partial(_chain, changes.as_stock, partial(changes.with_vectors, vectors=path))
        systems.append(Pipeline(f"{STOCK} + {path.name}", "stock", change))
    for path in pretrained:
        change = partial(changes.with_pretrained, weights=path.absolute())
        systems.append(Pipeline(f"{STOCK}, {path.absolute().parent.name}", "stock", change))
    for source in sources:
        name = Path(source).name
        # A directory is named by its whole path: training may run elsewhere.
        where = str(Path(source).absolute()) if Path(source).exists() else source
        frozen = partial(changes.with_elmo, source=where)
        tuned = partial(changes.with_elmo, source=where, frozen=False)
        systems += [Pipeline(name, "ELMo", frozen), Pipeline(f"{name}, tuned", "ELMo", tuned)]
        for path in vectors:
            change = partial(_chain, frozen, partial(changes.with_vectors, vectors=path))
            systems.append(Pipeline(f"{name} + {path.name}", "ELMo", change))
    for path in transformers:
        where = path.absolute()
        for suffix, function in (
            ("", changes.with_frozen_transformer),
            (", tuned", changes.with_tuned_transformer),
        ):
            change = partial(function, pipeline=where)
            systems.append(
                Pipeline(f"{path.name}{suffix}", "transformer", change, transformers_python)
            )
    for features in linear:
        where = str(Path(features).absolute()) if Path(features).exists() else features
        systems.append(Linear(f"linear, {Path(features).name}", where))
    names = [system.name for system in systems]
    if len(set(names)) < len(names):
        raise ValueError(f"Two systems would have the same name; rename a folder: {names}")
    return systems


def _chain(first: Change, second: Change, config: Config) -> Config:
    return second(first(config))
