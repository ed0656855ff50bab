"""Makes a config for ``spacy train``: spaCy's own for a language and its components, in which the
shared ``tok2vec`` listens to ``elmo`` as it does in the configs that come with the package."""

import re
from enum import Enum
from typing import Any, Dict, List, Optional

import spacy
from spacy.cli.init_config import init_config
from spacy.language import Language
from spacy.util import CONFIG_SECTION_ORDER, load_config, load_model_from_config
from thinc.api import Config

from ._choices import find_components, find_language, has_tok2vec, sets_sentences
from ._shipped import shipped_config

_UPSTREAM = ["elmo", "tok2vec"]
_LINKER = "entity_linker"


class Optimize(str, Enum):
    """What a config is made for."""

    speed = "speed"
    accuracy = "accuracy"


def make_config(
    lang: str,
    pipeline: List[str],
    optimize: Optimize,
    source: str,
    vectors: Optional[str] = None,
) -> Config:
    """A complete config, which lacks nothing but the paths of the data.

    lang: Code of the language.
    pipeline: The components, in order. What has no tok2vec (a sentencizer) is taken as it is.
    optimize: "accuracy" for what the configs that come with the package do. "speed" has the biLM
        compute in int8, and one convolution behind it in place of four. benchmarks/NOTES.md has
        what either costs.
    source: Of the biLM. It isn't read.
    vectors: A pipeline with static vectors, which become features, too.
    RAISES ValueError: There is no such language or component, or none has a tok2vec.
    RAISES ImportError: The language's tokenizer needs a package that isn't installed.
    """
    lang = find_language(lang)
    nlp = spacy.blank(lang)
    components = find_components(pipeline, nlp)
    # With "efficiency", spaCy's text classifiers have no tok2vec.
    config = init_config(lang=lang, pipeline=components, optimize="accuracy")
    ours = load_config(shipped_config("tagger_parser"))
    _take_over(config, ours)
    config["paths"]["vectors"] = vectors
    config["vars"]["static_vectors"] = vectors is not None
    config["components"]["elmo"]["model"]["source"] = source
    if optimize is Optimize.speed:
        config["components"]["elmo"]["model"]["precision"] = "int8"
        config["components"]["tok2vec"]["model"]["encode"]["depth"] = 1
    listener = ours["components"]["tagger"]["model"]["tok2vec"]
    for name in components:
        if has_tok2vec(name, nlp):
            config["components"][name]["model"]["tok2vec"] = dict(listener)
    config["nlp"]["pipeline"] = [*_UPSTREAM, *components]
    if _LINKER in components:
        _complete_linker(config, nlp)
    filled = load_model_from_config(config, auto_fill=True).config
    load_model_from_config(filled)  # which is strict, as nothing is filled in any more
    return filled


def to_text(config: Config) -> str:
    """A config as it is written to a file, with what belongs together side by side."""
    sections = re.split(r"\n\n(?=\[)", config.to_str(interpolate=False))
    first = dict.fromkeys(("paths", "vars", *CONFIG_SECTION_ORDER))
    places = {name: place for place, name in enumerate(first)}

    def place(section: str) -> List[int]:
        """After those of the sections that it is inside of, in the order in which they come."""
        parts = section[1 : section.index("]")].split(".")
        names = [".".join(parts[:n]) for n in range(1, len(parts) + 1)]
        return [places.setdefault(name, len(places)) for name in names]

    return "\n\n".join(sorted(sections, key=place)) + "\n"


def _take_over(config: Config, ours: Config) -> None:
    """Change a config of spaCy's so that it is like ours in all but its components.

    config: Is changed.
    ours: One that comes with the package.
    """
    stock: Dict[str, Any] = config["components"]
    others = {name: block for name, block in stock.items() if name != "tok2vec"}
    config["components"] = {**{name: ours["components"][name] for name in _UPSTREAM}, **others}
    weights = config["training"]["score_weights"]  # they are the components'
    config["training"] = {**ours["training"], "score_weights": weights}
    for section in ("system", "vars"):
        config[section] = ours[section]
    config["nlp"]["batch_size"] = ours["nlp"]["batch_size"]


def _complete_linker(config: Config, nlp: Language) -> None:
    """Give an entity linker what it can't do without: sentences, in training as well, and its
    knowledge base.

    config: Is changed.
    nlp: A pipeline of the language.
    RAISES ValueError: Sentences come after it.
    """
    pipeline: List[str] = config["nlp"]["pipeline"]
    place = pipeline.index(_LINKER)
    cutters = [name for name in pipeline if sets_sentences(name, nlp)]
    late = [name for name in cutters if name in pipeline[place:]]
    if late:
        raise ValueError(f"{_LINKER} needs sentences. Name it after {', '.join(late)}.")
    if not cutters:
        cutters = ["sentencizer"]
        pipeline.insert(place, "sentencizer")
        config["components"]["sentencizer"] = {"factory": "sentencizer"}
        scores = ("sents_f", "sents_p", "sents_r")  # which training doesn't change
        config["training"]["score_weights"].update(dict.fromkeys(scores))
    # What listens has to have something to listen to where it annotates.
    upstream = _UPSTREAM if any(has_tok2vec(name, nlp) for name in cutters) else []
    config["training"]["annotating_components"] = [*upstream, *cutters]
    config["paths"]["kb"] = "kb"
    loader = {"@misc": "spacy.KBFromFile.v1", "kb_path": "${paths.kb}"}
    config["initialize"]["components"][_LINKER] = {"kb_loader": loader}
