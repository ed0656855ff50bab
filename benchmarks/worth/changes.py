"""How a shipped config becomes that of another system. Each function returns a new config.

A shipped config has an ``elmo`` component and one tok2vec, the *composition*: layers of ELMo beside
spaCy's hash embedding, reduced, below convolutions.
"""

from pathlib import Path
from typing import Any, NamedTuple

from spacy.language import DEFAULT_CONFIG_PRETRAIN_PATH
from spacy.util import load_config
from thinc.api import Config

TRANSFORMER = "transformer"
# As spaCy's quickstart has it for transformers.
TRANSFORMER_LEARN_RATE = {
    "@schedules": "warmup_linear.v1",
    "warmup_steps": 250,
    "total_steps": 20000,
    "initial_rate": 5e-5,
}


class Place(NamedTuple):
    """Where the composition is.

    component: Name of the component that has it.
    layer: Its name in that component's model, "" for the model itself."""

    component: str
    layer: str

    def block(self, config: Config) -> dict[str, Any]:
        """The composition's block."""
        model = config["components"][self.component]["model"]
        return model[self.layer] if self.layer else model

    def replace(self, config: Config, block: dict[str, Any]) -> None:
        """Put another block in its place."""
        component = config["components"][self.component]
        if self.layer:
            component["model"][self.layer] = block
        else:
            component["model"] = block


def find_composition(config: Config) -> Place:
    """RAISES ValueError: The config hasn't exactly one."""
    models = {name: block.get("model", {}) for name, block in config["components"].items()}
    places = [
        Place(name, layer)
        for name, model in models.items()
        for layer, block in (("", model), ("tok2vec", model.get("tok2vec", {})))
        if block.get("@architectures") == "spacy.Tok2Vec.v2"
    ]
    if len(places) != 1:
        raise ValueError(f"The config has {len(places)} blocks with spacy.Tok2Vec.v2, not one.")
    return places[0]


def with_elmo(config: Config, source: str, frozen: bool = True) -> Config:
    """source: The biLM."""
    return config.merge({"components": {"elmo": {"model": {"source": source, "frozen": frozen}}}})


def without_elmo(config: Config) -> Config:
    """With spaCy's stock tok2vec, of the width and depth of the composition that it replaces."""
    changed = _without(config, "elmo")
    place = find_composition(changed)
    encode = place.block(changed)["encode"]
    place.replace(
        changed,
        {
            "@architectures": "spacy.HashEmbedCNN.v2",
            "pretrained_vectors": "${vars.static_vectors}",
            "embed_size": 2000,
            "subword_features": True,
            **{key: encode[key] for key in ("width", "depth", "window_size", "maxout_pieces")},
        },
    )
    return changed


def with_vectors(config: Config, vectors: Path) -> Config:
    """vectors: A pipeline with static vectors."""
    return config.merge({"paths": {"vectors": str(vectors)}, "vars": {"static_vectors": True}})


def for_pretraining(config: Config) -> Config:
    """The stock tok2vec with settings of ``spacy pretrain``, spaCy's defaults: for that, and for
    starting from its weights."""
    place = find_composition(config)
    changed = without_elmo(config)
    changed = Config(load_config(DEFAULT_CONFIG_PRETRAIN_PATH)).merge(changed)
    changed["pretraining"].update({"component": place.component, "layer": place.layer})
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
        changed = _without(changed, "tok2vec")
    for block in changed["components"].values():
        if "tok2vec" in block.get("model", {}):
            block["model"]["tok2vec"] = _listener()
    changed["training"]["optimizer"]["learn_rate"] = dict(TRANSFORMER_LEARN_RATE)
    return changed


def _with_transformer(config: Config, pipeline: Path) -> Config:
    changed = _without(config, "elmo")
    changed["components"][TRANSFORMER] = {"source": str(pipeline)}
    changed["nlp"]["pipeline"].insert(0, TRANSFORMER)
    return changed


def _without(config: Config, component: str) -> Config:
    changed = config.copy()
    del changed["components"][component]
    changed["nlp"]["pipeline"].remove(component)
    return changed


def _listener() -> dict[str, Any]:
    return {
        "@architectures": "spacy-transformers.TransformerListener.v1",
        "grad_factor": 1.0,
        "upstream": TRANSFORMER,
        "pooling": {"@layers": "reduce_mean.v1"},
    }
