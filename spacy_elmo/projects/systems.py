"""What is compared: a config with ELMo beside spaCy's own features of a word, each of the two left
out. Every function returns a new config.

A config has an ``elmo`` component and one tok2vec, the *composition*: layers of ELMo beside spaCy's
hash embedding, reduced, below convolutions.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from thinc.api import Config


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


def without_elmo(config: Config) -> Config:
    """With spaCy's stock tok2vec: the composition without ELMo's layers, the hash embedding alone
    below the convolutions, which is what ``spacy.HashEmbedCNN.v2`` builds."""
    changed = without_component(config, "elmo")
    block = find_composition(changed).block(changed)
    block["embed"] = block["embed"]["*"]["concatenate"]["*"]["hash"]
    return changed


def elmo_alone(config: Config) -> Config:
    """With ELMo's layers and no other features of a word."""
    changed = config.copy()
    del find_composition(changed).block(changed)["embed"]["*"]["concatenate"]["*"]["hash"]
    return changed


def without_component(config: Config, name: str) -> Config:
    """Without a component, to which something may still listen."""
    changed = config.copy()
    del changed["components"][name]
    changed["nlp"]["pipeline"].remove(name)
    return changed


SYSTEMS: dict[str, Callable[[Config], Config]] = {
    "stock": without_elmo,
    "elmo": elmo_alone,
    "both": Config.copy,
}

TITLES = {"stock": "spaCy's tok2vec", "elmo": "ELMo", "both": "ELMo beside spaCy's features"}
