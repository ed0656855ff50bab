"""A config of pretraining, resolved and checked."""

from dataclasses import dataclass
from typing import Any, TypeVar

import spacy
from pydantic import BaseModel, ValidationError
from spacy.language import Language
from spacy.util import registry
from thinc.api import Config

from .model_card import Setting
from .schemas import (
    CardSettings,
    CorpusSettings,
    InitializeSettings,
    TrainingSettings,
    VocabularySettings,
)
from .tokenize import Tokenization

SchemaT = TypeVar("SchemaT", bound=BaseModel)

_SECTIONS = (
    "paths", "nlp", "corpus", "vocabulary", "bilm", "initialize", "training", "card",
)  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """What a config asks for.

    config: The config, interpolated.
    nlp: A pipeline of the tokenizer alone. Its config is the run's.
    tokenization: How texts become sentences.
    """

    config: Config
    nlp: Language
    tokenization: Tokenization
    corpus: CorpusSettings
    vocabulary: VocabularySettings
    initialize: InitializeSettings
    training: TrainingSettings
    card: CardSettings

    @property
    def bilm(self) -> dict[str, Any]:
        """The shape of a new biLM, in the layout of ``options.json``."""
        return self.config["bilm"]

    def for_card(self, world_size: int) -> dict[str, Setting]:
        """What the model card tells of them.

        world_size: Processes of the run.
        """
        training = self.training
        blocks = self.config["training"]
        settings: dict[str, Setting] = {
            "Optimizer": _in_words(blocks["optimizer"]),
            "Streams": training.batch_size * world_size,
            "Tokens a window": training.n_steps,
            "Sampled words": training.n_samples,
            "Dropout": training.dropout,
            "State carried to the next sentence": training.carry_state,
            "Largest gradient norm": training.max_grad_norm,
            "Steps": training.max_steps,
            "Seed": training.seed,
        }
        return settings


def resolve(config: Config) -> Settings:
    """Check a config and make what it names.

    config: Sections paths, nlp, corpus, vocabulary, bilm, initialize, training, card.
    RAISES ValueError: A section or setting is missing, unknown or wrong.
    """
    config = config.interpolate()
    missing = [name for name in _SECTIONS if name not in config]
    unknown = [name for name in config if name not in _SECTIONS]
    if missing or unknown:
        problems = [f"[{name}] is missing" for name in missing]
        problems += [f"[{name}] is unknown" for name in unknown]
        raise ValueError(f"The config of a pretraining run is wrong: {', '.join(problems)}.")
    nlp = spacy.blank(config["nlp"]["lang"], config={"nlp": dict(config["nlp"])})
    tokenization = Tokenization.of(nlp, config["corpus"]["get_spans"])
    blocks = {name: dict(config[name]) for name in _SECTIONS}
    corpus = blocks["corpus"]
    if corpus["train"].get("path", "") is None:
        raise ValueError("There is no text to train on: set paths.train (--paths.train FILE).")
    if corpus["dev"] is not None and corpus["dev"].get("path", "") is None:
        corpus["dev"] = None
    made = registry.resolve({"corpus": {k: v for k, v in corpus.items() if k != "get_spans"}})
    corpus.update(made["corpus"])
    blocks["training"] = registry.resolve({"training": config["training"]})["training"]
    nlp.config = Config({**nlp.config, **config})  # what loggers send to their servers
    return Settings(
        config=config,
        nlp=nlp,
        tokenization=tokenization,
        corpus=_check(CorpusSettings, "corpus", corpus),
        vocabulary=_check(VocabularySettings, "vocabulary", blocks["vocabulary"]),
        initialize=_check(InitializeSettings, "initialize", blocks["initialize"]),
        training=_check(TrainingSettings, "training", blocks["training"]),
        card=_check(CardSettings, "card", blocks["card"]),
    )


def _check(schema: type[SchemaT], name: str, values: dict[str, Any]) -> SchemaT:
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        problems = [
            f"{name}.{'.'.join(map(str, problem['loc']))}: {problem['msg']}"
            for problem in error.errors()
        ]
        raise ValueError("The config is wrong: " + "; ".join(problems)) from error


def _in_words(block: Any) -> str:
    """A block of a registered function: its name and settings in one line."""
    if not isinstance(block, dict):
        return str(block)
    name = next((value for key, value in block.items() if key.startswith("@")), "")
    rest = ", ".join(
        f"{key} {_in_words(value)}" for key, value in block.items() if not key.startswith("@")
    )
    return f"{name} ({rest})" if rest else str(name)
