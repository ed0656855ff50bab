"""What is measured on: text, and biLMs with random weights in the published sizes."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import spacy
import torch
from timing import BATCH

from spacy_elmo import BiLM
from spacy_elmo.bilm import BiLMConfig, BiLMNetwork
from spacy_elmo.spans import configure_sentences, cut_sentences

FILTERS = [[1, 32], [2, 32], [3, 64], [4, 128], [5, 256], [6, 512], [7, 1024]]
SIZES = {  # (cells, width of the projection, highway layers) of the models that AllenNLP published
    "small": (1024, 128, 1),
    "medium": (2048, 256, 1),
    "original": (4096, 512, 2),
}


class Text(NamedTuple):
    """documents: Texts of whole documents.
    n_words: Words in them.
    sentences: The words of their first sentences."""

    documents: list[str]
    n_words: int
    sentences: list[list[str]]


def read_text(path: Path, n_sentences: int) -> Text:
    """Read as many documents as have so many sentences, or all.

    path: Plain text, one document a line.
    """
    make_doc, get_spans = spacy.blank("en").make_doc, configure_sentences()
    documents: list[str] = []
    sentences: list[list[str]] = []
    with path.open(encoding="utf8") as file:
        for line in file:
            if len(sentences) >= n_sentences:
                break
            if line.strip():
                documents.append(line.strip())
                [spans] = get_spans([make_doc(documents[-1])])
                sentences += [s.words for s in cut_sentences(spans) if s.words]
    if not sentences:
        raise ValueError(f"There is no text in {path}.")
    return Text(documents, sum(map(len, sentences)), sentences[:n_sentences])


def sample(sentences: Sequence[list[str]], n: int) -> list[list[str]]:
    """About n of the sentences, of all lengths; all, if n is 0.

    Sorted by length and cut into batches as other implementations compute them, whole batches at
    equal distances: single sentences would differ more in length and need more padding.
    """
    if not 0 < n < len(sentences):
        return list(sentences)
    by_length = sorted(sentences, key=len)
    starts = range(0, max(1, len(by_length) - BATCH + 1), BATCH)
    batches = [by_length[start : start + BATCH] for start in starts]
    n_batches = max(1, round(n / BATCH))
    chosen = [batches[int((i + 0.5) * len(batches) / n_batches)] for i in range(n_batches)]
    return [words for batch in chosen for words in batch]


def write_json(content: object, path: Path) -> Path:
    """Write a peer's request. RETURNS: The path."""
    path.write_text(json.dumps(content), encoding="utf8")
    return path


def random_bilm(size: str) -> BiLM:
    """A biLM of a published size that has learned nothing.

    size: A key of ``SIZES``.
    """
    dim, projection_dim, n_highway = SIZES[size]
    config = BiLMConfig.model_validate_json(
        json.dumps(
            {
                "lstm": {
                    "dim": dim,
                    "projection_dim": projection_dim,
                    "n_layers": 2,
                    "cell_clip": 3.0,
                    "proj_clip": 3.0,
                    "use_skip_connections": True,
                },
                "char_cnn": {
                    "activation": "relu",
                    "filters": FILTERS,
                    "n_highway": n_highway,
                    "embedding": {"dim": 16},
                    "n_characters": 262,
                    "max_characters_per_token": 50,
                },
            }
        )
    )
    torch.manual_seed(0)
    network = BiLMNetwork(config)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if weight.dim() > 1 and "embedding" not in name:
                weight.normal_(0, 1 / math.sqrt(weight[0].numel()))  # keeps the scale of its input
    return BiLM(network)
