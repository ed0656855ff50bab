"""What a run starts from: vocabulary and weights."""

import json
from pathlib import Path
from typing import Any, Optional

import numpy as np
import torch
from safetensors.torch import save_file
from wasabi import msg

from ..bilm import BiLMNetwork
from ..formats import (
    MissingVocabulary,
    SoftmaxWeights,
    Source,
    parse_config,
    pin_source,
    read_softmax,
    read_source,
    write_native,
)
from ..formats.tensors import read_tensors
from .corpus import BOUNDARIES, UNKNOWN, TokenStore, Vocabulary
from .learning import LanguageModel
from .settings import InitializeSettings, VocabularySettings

_DISTILLATION = "distillation.safetensors"


def make_vocabulary(settings: VocabularySettings, store: TokenStore) -> Vocabulary:
    """The output vocabulary. Warns of one that is in another order than by frequency.

    settings: Where it comes from.
    store: The training text.
    RAISES ValueError: There is no such file, or no words are left.
    """
    counts = dict(zip(store.words, store.counts.tolist(), strict=True))
    if settings.path is None:
        return Vocabulary.from_counts(
            counts, min_count=settings.min_count, max_size=settings.max_size
        )
    vocabulary = Vocabulary.read(Path(settings.path))
    if not _is_by_frequency(vocabulary, counts):
        msg.warn(
            "The vocabulary isn't sorted by frequency",
            f"{settings.path}: the first tenth of its words should be the most frequent ones of "
            "the training text, because the sampled softmax takes the words' frequencies from "
            "their order. 'python -m spacy elmo vocab' writes a vocabulary that is sorted.",
        )
    return vocabulary


def _is_by_frequency(vocabulary: Vocabulary, counts: dict[str, int]) -> bool:
    """Whether no tenth of the words is more frequent than the first, by the mean logarithm: a
    single word such as "the" doesn't decide. The vocabulary may be another text's, with words that
    this one doesn't have."""
    words = [word for word in vocabulary.words if word not in (*BOUNDARIES, UNKNOWN)]
    if len(words) < 10:
        return True
    logs = np.log1p([counts.get(word, 0) for word in words])
    means = [tenth.mean() for tenth in np.array_split(logs, 10)]
    return means[0] == max(means)


def make_model(
    bilm: dict[str, Any],
    initialize: InitializeSettings,
    vocabulary: VocabularySettings,
    store: TokenStore,
    seed: int,
) -> LanguageModel:
    """A language model at the start of training.

    bilm: The shape of a new biLM, in the layout of ``options.json``.
    initialize: Whether to go on from weights.
    vocabulary: The output vocabulary, unless that of the weights is kept. For a checkpoint of
        bilm-tf without ``vocab.txt`` whose softmax is kept, its path is that vocabulary's.
    store: The training text.
    seed: Of random weights.
    RAISES ValueError: The shape is wrong, or the source or the vocabulary can't be read.
    """
    torch.manual_seed(seed)
    if initialize.source is None:
        network = BiLMNetwork(parse_config(json.dumps(bilm), "[bilm]"))
        return LanguageModel(network, make_vocabulary(vocabulary, store))
    source = pin_source(initialize.source)
    network = read_source(source)
    softmax = _read_softmax(source, initialize.keep_softmax, vocabulary.path)
    if softmax is not None and initialize.keep_softmax:
        return with_softmax(network, softmax)
    model = LanguageModel(network, make_vocabulary(vocabulary, store))
    if softmax is None:
        msg.info(
            f"{initialize.source} brings no softmax: a new one is trained, from random weights."
        )
    else:
        _take_rows(model, softmax)
    return model


def _read_softmax(
    source: Source, keep_softmax: bool, vocabulary_path: Optional[str]
) -> Optional[SoftmaxWeights]:
    """The source's softmax; None if it has none, or if it isn't to be kept and nothing says which
    words it predicts."""
    try:
        return read_softmax(source)
    except MissingVocabulary as error:
        if not keep_softmax:
            return None
        if vocabulary_path is None:
            raise ValueError(
                f"{error} The setting vocabulary.path takes it. Or begin with a new softmax: "
                "initialize.keep_softmax = false."
            ) from error
        return read_softmax(source, Path(vocabulary_path))


def with_softmax(network: BiLMNetwork, softmax: SoftmaxWeights) -> LanguageModel:
    """A biLM with the softmax that it was trained with, on the biLM's device.

    RAISES ValueError: The softmax's words are no vocabulary.
    """
    model = LanguageModel(network, Vocabulary(softmax.words))
    with torch.no_grad():
        model.softmax.weight.copy_(softmax.weight)
        model.softmax.bias.copy_(softmax.bias)
    return model.to(next(network.parameters()).device)


def get_softmax(model: LanguageModel) -> SoftmaxWeights:
    """A model's softmax, as formats write it."""
    return SoftmaxWeights(
        model.vocabulary.words, model.softmax.weight.detach(), model.softmax.bias.detach()
    )


def _take_rows(model: LanguageModel, softmax: SoftmaxWeights) -> None:
    """The rows of words that both vocabularies know."""
    rows = {word: row for row, word in enumerate(softmax.words)}
    pairs = [(i, rows[word]) for i, word in enumerate(model.vocabulary.words) if word in rows]
    ours, theirs = (torch.tensor(side, dtype=torch.int64) for side in zip(*pairs, strict=True))
    with torch.no_grad():
        model.softmax.weight[ours] = softmax.weight[theirs]
        model.softmax.bias[ours] = softmax.bias[theirs]


def write_model(model: LanguageModel, directory: Path) -> None:
    """Write a language model into a native directory, with what it learns from."""
    write_native(model.network, directory, softmax=get_softmax(model))
    if model.distillation is not None:
        save_file(model.distillation.state_dict(), directory / _DISTILLATION)


def read_distillation(directory: Path, model: LanguageModel) -> None:
    """Read the map to the teacher's vectors.

    directory: Where ``write_model`` has written it.
    model: Learns from a teacher.
    RAISES ValueError: It is missing or damaged.
    """
    assert model.distillation is not None
    path = directory / _DISTILLATION
    try:
        model.distillation.load_state_dict(read_tensors(path).tensors)
    except RuntimeError as error:
        raise ValueError(f"{path} doesn't fit: {error}") from error


def read_model(directory: Path) -> LanguageModel:
    """Read a language model from a native directory.

    RAISES ValueError: It is damaged, or has no softmax.
    """
    softmax = read_softmax(directory)
    if softmax is None:
        raise ValueError(f"{directory}: there is no softmax.")
    return with_softmax(read_source(directory), softmax)
