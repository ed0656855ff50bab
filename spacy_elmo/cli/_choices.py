"""What a training config can be made for: languages, components and biLMs."""

from collections import Counter
from pkgutil import iter_modules
from typing import Any, Iterable, List

import spacy.lang
from spacy.language import Language
from spacy.util import get_lang_class, registry

from ..formats import PUBLISHED, is_hub, resolve_source
from ..formats.source import bundled_names
from ..urls import is_url

_ADDED = ("elmo", "tok2vec")  # which every config has


def find_language(code: str) -> str:
    """spaCy's own code of a language, "de" for "deu".

    RAISES ValueError: There is none.
    """
    try:
        return get_lang_class(code).lang or code
    except (ImportError, AttributeError, ValueError):  # no code at all, or the name of a module
        packages = (module.name for module in iter_modules(spacy.lang.__path__) if module.ispkg)
        names = sorted({*packages, *registry.languages.get_all()})
        raise ValueError(
            f"spaCy has no language '{code}'. It has: {', '.join(names)} (xx is for several)."
        ) from None


def find_components(names: Iterable[str], nlp: Language) -> List[str]:
    """The components that a pipeline gets beside ``elmo`` and ``tok2vec``.

    names: As they were asked for.
    nlp: A pipeline of the language.
    RETURNS: In the same order.
    RAISES ValueError: One is unknown or named twice, or none of them has a tok2vec.
    """
    wanted = [name for name in names if name not in _ADDED]
    twice = [name for name, n in Counter(wanted).items() if n > 1]
    if twice:
        raise ValueError(f"{', '.join(twice)} is named more than once. Name each component once.")
    factories = sorted(registry.factories.get_all())
    # Those with a dot are a language's own, which are called by the name behind it.
    others = [name for name in factories if name not in _ADDED and "." not in name]
    listeners = [name for name in others if has_tok2vec(name, nlp)]
    choices = f"Components that can listen to ELMo: {', '.join(listeners)}."
    for name in wanted:
        if not nlp.has_factory(name):
            raise ValueError(f"spaCy has no component '{name}'. {choices}")
    if not any(name in listeners for name in wanted):
        raise ValueError(f"None of '{','.join(wanted)}' has a tok2vec. {choices}")
    return wanted


def has_tok2vec(name: str, nlp: Language) -> bool:
    """Whether a component's model takes its features from a tok2vec, as a listener is one."""
    settings: Any = nlp.get_factory_meta(name).default_config or {}
    model = settings.get("model") or {}
    # spaCy's nn_labeller names an architecture that is no more.
    return "tok2vec" in model and registry.has("architectures", model.get("@architectures", ""))


def sets_sentences(name: str, nlp: Language) -> bool:
    """Whether a component cuts a Doc into sentences."""
    assigns = nlp.get_factory_meta(name).assigns
    return any(target in assigns for target in ("doc.sents", "token.is_sent_start"))


def find_source(lang: str) -> str:
    """The name of a biLM for a language: a bundled one, or else a published one.

    RAISES LookupError: There is none.
    """
    bundled = f"{lang}_small"
    if bundled in bundled_names():
        return bundled
    published = f"many_langs/{lang}"
    if published in PUBLISHED:
        return published
    raise LookupError(lang)


def check_source(source: str) -> None:
    """Look whether there is a biLM of that name or at that path. Nothing is fetched.

    RAISES ValueError: There is none; the error says what was tried.
    """
    if source not in PUBLISHED and not is_url(source) and not is_hub(source):
        resolve_source(source)
