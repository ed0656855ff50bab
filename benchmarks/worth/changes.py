"""How a shipped config becomes that of another system. Each function returns a new config.

A shipped config has an ``elmo`` component and one tok2vec, the *composition*: layers of ELMo beside
spaCy's hash embedding, reduced, below convolutions.
"""

from pathlib import Path
from typing import Any

from spacy.language import DEFAULT_CONFIG_PRETRAIN_PATH
from spacy.util import load_config
from thinc.api import Config

from spacy_elmo.projects.systems import find_composition, without_component, without_elmo

TRANSFORMER = "transformer"
# As spaCy's quickstart has it for transformers.
TRANSFORMER_LEARN_RATE = {
    "@schedules": "warmup_linear.v1",
    "warmup_steps": 250,
    "total_steps": 20000,
    "initial_rate": 5e-5,
}


def as_stock(config: Config) -> Config:
    """Without ELMo. A classifier of texts keeps a constant rate: with the shipped one, which falls
    to zero, stock came to 37 to 49 instead of 60 on TREC's development data."""
    changed = without_elmo(config)
    if "textcat" in changed["components"]:
        changed["training"]["optimizer"]["learn_rate"] = 0.001
    return changed


def with_elmo(config: Config, source: str, frozen: bool = True) -> Config:
    """source: The biLM."""
    return config.merge({"components": {"elmo": {"model": {"source": source, "frozen": frozen}}}})


def with_vectors(config: Config, vectors: Path) -> Config:
    """vectors: A pipeline with static vectors."""
    return config.merge({"paths": {"vectors": str(vectors)}, "vars": {"static_vectors": True}})


def for_pretraining(config: Config) -> Config:
    """The stock tok2vec as a component of its own, which others listen to, with spaCy's default
    settings of ``spacy pretrain``: for that, and for starting from its weights. (What an ``ner``
    calls its tok2vec ends with a layer of the recognizer's, so it can't be pretrained in place.)
    """
    place = find_composition(config)
    changed = Config(load_config(DEFAULT_CONFIG_PRETRAIN_PATH)).merge(as_stock(config))
    if place.component != "tok2vec":
        width = "${components.tok2vec.model.encode.width}"
        block = place.block(changed)
        block["embed"]["width"] = width
        changed["components"]["tok2vec"] = {"factory": "tok2vec", "model": block}
        changed["nlp"]["pipeline"].insert(0, "tok2vec")
        changed["components"][place.component]["model"][place.layer] = {
            "@architectures": "spacy.Tok2VecListener.v1",
            "width": width,
            "upstream": "tok2vec",
        }
    changed["pretraining"].update({"component": "tok2vec", "layer": ""})
    return changed


def with_pretrained(config: Config, weights: Path) -> Config:
    """weights: What ``spacy pretrain`` made of the stock tok2vec."""
    return for_pretraining(config).merge({"paths": {"init_tok2vec": str(weights)}})


def with_frozen_transformer(config: Config, pipeline: Path) -> Config:
    """The composition with the transformer's last layer in place of ELMo's.

    pipeline: Has an initialized ``transformer`` component, which is sourced.
    """
    changed = _with_transformer(config, pipeline)
    place = find_composition(changed)
    features = place.block(changed)["embed"]["*"]["concatenate"]["*"]
    del features["elmo"]
    features[TRANSFORMER] = _listener()
    changed["training"]["frozen_components"] = [TRANSFORMER]
    changed["training"]["annotating_components"] = [TRANSFORMER]
    return changed


def with_tuned_transformer(config: Config, pipeline: Path) -> Config:
    """All components listen to the transformer and nothing else, and train it.

    pipeline: Has an initialized ``transformer`` component, which is sourced.
    """
    changed = _with_transformer(config, pipeline)
    if "tok2vec" in changed["components"]:
        changed = without_component(changed, "tok2vec")
    for block in changed["components"].values():
        if "tok2vec" in block.get("model", {}):
            block["model"]["tok2vec"] = _listener()
    changed["training"]["optimizer"]["learn_rate"] = dict(TRANSFORMER_LEARN_RATE)
    return changed


def _with_transformer(config: Config, pipeline: Path) -> Config:
    changed = without_component(config, "elmo")
    changed["components"][TRANSFORMER] = {"source": str(pipeline)}
    changed["nlp"]["pipeline"].insert(0, TRANSFORMER)
    return changed


def _listener() -> dict[str, Any]:
    return {
        "@architectures": "spacy-transformers.TransformerListener.v1",
        "grad_factor": 1.0,
        "upstream": TRANSFORMER,
        "pooling": {"@layers": "reduce_mean.v1"},
    }
