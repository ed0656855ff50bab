"""A config of pretraining, resolved and checked."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Optional, TypeVar

import spacy
from pydantic import BaseModel, ValidationError
from spacy.language import Language
from spacy.util import registry
from thinc.api import Config

from ...formats import parse_config
from ..corpus import Reader, Tokenization
from ..reports import Setting
from .schemas import (
    CardSettings,
    CorpusSettings,
    InitializeSettings,
    TrainingSettings,
    VocabularySettings,
)

SchemaT = TypeVar("SchemaT", bound=BaseModel)

_SECTIONS = (
    "paths", "nlp", "corpus", "vocabulary", "bilm", "initialize", "training", "card",
)  # fmt: skip
_UNKNOWN = "there is no such setting"


class Readers(NamedTuple):
    """train: Reads the texts to learn from. dev: Reads those that are held out; None for none."""

    train: Reader
    dev: Optional[Reader]


@dataclass(frozen=True)
class Settings:
    """What a config asks for.

    config: The config, interpolated.
    nlp: A pipeline of the tokenizer alone. Its config is the run's.
    tokenization: How texts become sentences.
    readers: What ``[corpus.train]`` and ``[corpus.dev]`` name.
    """

    config: Config
    nlp: Language
    tokenization: Tokenization
    corpus: CorpusSettings
    readers: Readers
    vocabulary: VocabularySettings
    initialize: InitializeSettings
    training: TrainingSettings
    card: CardSettings

    @property
    def bilm(self) -> dict[str, Any]:
        """The shape of a new biLM, in the layout of ``options.json``."""
        return self.config["bilm"]

    def for_card(self, step: int, world_size: int) -> dict[str, Setting]:
        """What the model card tells of them.

        step: The biLM's.
        world_size: Processes of the run.
        """
        training = self.training
        optimizer = dict(self.config["training"]["optimizer"])
        learn_rate = optimizer.pop("learn_rate", "the optimizer's default")
        settings: dict[str, Setting] = {
            "Optimizer": _in_words(optimizer),
            "Learning rate": _in_words(learn_rate),
            "Streams": training.batch_size * world_size,
            "Tokens a window": training.n_steps,
            "Sampled words": training.n_samples,
            "Dropout": training.dropout,
            "State carried to the next sentence": training.carry_state,
            "Largest gradient norm": training.max_grad_norm,
            "Steps": f"{step:,} of {training.max_steps:,}",
            "Seed": training.seed,
        }
        if training.distillation is not None:
            settings["Weight of the teacher"] = training.distillation.weight
            settings["Text that the teacher has read"] = f"{training.distillation.share:.0%}"
        return settings


def resolve(config: Config, code: Optional[Path] = None) -> Settings:
    """Check a config and make what it names.

    config: Sections paths, nlp, corpus, vocabulary, bilm, initialize, training, card.
    code: The Python file that was imported before, whose registered functions the config may name.
    RAISES ValueError: A section or setting is missing, unknown or wrong.
    """
    config = config.interpolate()
    missing = [name for name in _SECTIONS if name not in config]
    unknown = [name for name in config if name not in _SECTIONS]
    if missing or unknown:
        problems = [f"[{name}] is missing" for name in missing]
        problems += [f"[{name}] is unknown" for name in unknown]
        raise ValueError(f"The config of a pretraining run is wrong: {', '.join(problems)}.")
    blocks = {name: dict(config[name]) for name in _SECTIONS}
    corpus = _check(CorpusSettings, "corpus", blocks["corpus"])
    if corpus.train.get("path", "") is None:
        raise ValueError("There is no text to train on: set paths.train (--paths.train FILE).")
    readers = {"train": corpus.train, "dev": corpus.dev}
    if corpus.dev is None or corpus.dev.get("path", "") is None:
        readers["dev"] = None
    if "lang" not in blocks["nlp"]:
        raise ValueError("nlp.lang is missing: the language whose tokenizer is used.")
    nlp = spacy.blank(blocks["nlp"]["lang"], config={"nlp": blocks["nlp"]})
    tokenization = Tokenization.of(nlp, corpus.get_spans, code)
    blocks["training"] = registry.resolve({"training": config["training"]})["training"]
    nlp.config = Config({**nlp.config, **config})  # what loggers send to their servers
    initialize = _check(InitializeSettings, "initialize", blocks["initialize"])
    if initialize.source is None:
        _check_shape(blocks["bilm"])
    return Settings(
        config=config,
        nlp=nlp,
        tokenization=tokenization,
        corpus=corpus,
        readers=Readers(**registry.resolve({"corpus": readers})["corpus"]),
        vocabulary=_check(VocabularySettings, "vocabulary", blocks["vocabulary"]),
        initialize=initialize,
        training=_check(TrainingSettings, "training", blocks["training"]),
        card=_check(CardSettings, "card", blocks["card"]),
    )


def _check(schema: type[SchemaT], name: str, values: dict[str, Any]) -> SchemaT:
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        problems = [
            f"{'.'.join([name, *map(str, problem['loc'])])}: "
            f"{_UNKNOWN if problem['type'] == 'extra_forbidden' else _message(problem['msg'])}"
            for problem in error.errors()
        ]
        raise ValueError("The config is wrong: " + "; ".join(problems)) from error


def _message(text: str) -> str:
    """Pydantic's, without what it puts before those of our own."""
    return text.removeprefix("Value error, ")


def _check_shape(bilm: dict[str, Any]) -> None:
    """``options.json`` may hold other programs' options; a config of ours may not."""
    unknown = list(_unknown_names(bilm, parse_config(json.dumps(bilm), "[bilm]"), "bilm"))
    if unknown:
        raise ValueError(f"The config is wrong: unknown settings: {', '.join(unknown)}")


def _unknown_names(values: dict[str, Any], parsed: BaseModel, where: str) -> Iterator[str]:
    """Names of settings that ``parsed``, which was made from them, has no fields for."""
    for key, value in values.items():
        name = f"{where}.{key}"
        if key not in type(parsed).model_fields:
            yield name
        elif isinstance(value, dict):
            yield from _unknown_names(value, getattr(parsed, key), name)


def _in_words(block: Any) -> str:
    """A block of a registered function, such as "Adam (beta1 0.9, beta2 0.99)": the function's
    name without package and version, and its settings."""
    if not isinstance(block, dict):
        return str(block)
    rest = []
    name = ""
    for key, value in block.items():
        if key.startswith("@"):
            name = re.sub(r"^.*?\.(?=\w+\.v\d+$)|\.v\d+$", "", value)
        else:
            rest.append(f"{key} {_in_words(value)}")
    return f"{name} ({', '.join(rest)})" if rest else name
