"""The polysemy check: does a word's vector know which of its senses is meant? For each of six words
there are 20 sentences of either sense. Counted is how often the nearest of the word's other 39
vectors (by cosine) has the same sense. Prints a table and one line of JSON.

    python benchmarks/polysemy/check.py en_small my_bilm --picture senses.png

The token encoder, layer 0, sees no other words, so that its 40 vectors of a word are the same.
Where several are nearest, their mean counts: 19 of 39, or 48.7 %, if all are.
"""

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import List, NamedTuple, Optional

import numpy as np
import spacy
import typer
from wasabi import msg

from spacy_elmo import BiLM

SENTENCES = Path(__file__).with_name("sentences.jsonl")
TIE = 1e-6  # float32 vectors that are the same differ by less in cosine


class Occurrence(NamedTuple):
    """word: A word with two senses.
    sense: The one that it has here.
    words: The sentence's tokens.
    index: Where the word stands in them."""

    word: str
    sense: str
    words: list[str]
    index: int


def main(
    sources: List[str] = typer.Argument(..., help="biLMs: names, paths or URLs"),
    picture: Optional[Path] = typer.Option(
        None, help="PNG of the vectors by the first biLM, in two dimensions; needs matplotlib"
    ),
    picture_layer: str = typer.Option("mean", help="Layer of the picture: a number, or mean"),
) -> None:
    """Check and print."""
    occurrences = read_occurrences(SENTENCES)
    results = {}
    for source in sources:
        layers = embed(BiLM.load(source), occurrences)
        results[source] = {name: check(array, occurrences) for name, array in layers.items()}
        if picture is not None and source == sources[0]:
            draw(layers[picture_layer], occurrences, picture)
    words = list(dict.fromkeys(occurrence.word for occurrence in occurrences))
    rows = [
        (source, layer, *(f"{shares[column]:.1f}" for column in [*words, "all"]))
        for source, by_layer in results.items()
        for layer, shares in by_layer.items()
    ]
    msg.table(rows, header=("biLM", "layer", *words, "all"), aligns=["l", "l", *"r" * len(rows[0])])
    print(json.dumps(results))


def read_occurrences(path: Path) -> list[Occurrence]:
    """Read and tokenize the sentences.

    RAISES ValueError: A word isn't a token of its sentence, or more than one.
    """
    make_doc = spacy.blank("en").make_doc
    occurrences = []
    for line in path.read_text(encoding="utf8").splitlines():
        row = json.loads(line)
        words = [token.text for token in make_doc(row["text"])]
        if words.count(row["word"]) != 1:
            raise ValueError(f"'{row['word']}' isn't exactly one token of: {row['text']}")
        index = words.index(row["word"])
        occurrences.append(Occurrence(row["word"], row["sense"], words, index))
    return occurrences


def embed(bilm: BiLM, occurrences: Sequence[Occurrence]) -> dict[str, np.ndarray]:
    """The words' vectors, each sentence for itself.

    RETURNS: (n_occurrences, width) for each layer by its number, and for the layers' mean.
    """
    embedded = bilm.embed([occurrence.words for occurrence in occurrences])
    vectors = np.stack(
        [array[:, o.index] for array, o in zip(embedded, occurrences, strict=True)], axis=1
    )
    layers = {str(i): layer for i, layer in enumerate(vectors)}
    return {**layers, "mean": vectors.mean(axis=0)}


def check(vectors: np.ndarray, occurrences: Sequence[Occurrence]) -> dict[str, float]:
    """How often the nearest vector has the same sense.

    vectors: (n_occurrences, width).
    RETURNS: Percent for each word, and their mean as "all".
    """
    shares = {}
    for word in dict.fromkeys(occurrence.word for occurrence in occurrences):
        chosen = [i for i, occurrence in enumerate(occurrences) if occurrence.word == word]
        senses = np.array([occurrences[i].sense for i in chosen])
        shares[word] = 100 * nearest_agree(vectors[chosen], senses)
    shares["all"] = statistics.mean(shares.values())
    return {word: round(share, 1) for word, share in shares.items()}


def nearest_agree(vectors: np.ndarray, senses: np.ndarray) -> float:
    """The share of vectors whose nearest other vector has the same sense; of several that are
    equally near, the share among them counts.

    vectors: (n, width).
    senses: (n,).
    """
    unit = vectors.astype("float64")
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    similarities = unit @ unit.T
    np.fill_diagonal(similarities, -np.inf)
    nearest = similarities >= similarities.max(axis=1, keepdims=True) - TIE
    same = senses[:, None] == senses[None, :]
    return float(((nearest & same).sum(axis=1) / nearest.sum(axis=1)).mean())


def draw(vectors: np.ndarray, occurrences: Sequence[Occurrence], path: Path) -> None:
    """Draw each word's vectors on their two principal components, coloured by sense."""
    from matplotlib.figure import Figure

    words = list(dict.fromkeys(occurrence.word for occurrence in occurrences))
    figure = Figure(figsize=(9, 6), layout="constrained")
    for axes, word in zip(figure.subplots(2, 3).flat, words, strict=False):
        chosen = [i for i, occurrence in enumerate(occurrences) if occurrence.word == word]
        unit = vectors[chosen] / np.linalg.norm(vectors[chosen], axis=1, keepdims=True)
        centred = unit - unit.mean(axis=0)
        points = centred @ np.linalg.svd(centred, full_matrices=False)[2][:2].T
        senses = np.array([occurrences[i].sense for i in chosen])
        for sense, marker in zip(dict.fromkeys(senses), "o^", strict=True):
            axes.scatter(*points[senses == sense].T, marker=marker, alpha=0.8, label=sense)
        axes.set(title=word, xticks=[], yticks=[])
        axes.legend(fontsize="small")
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    typer.run(main)
