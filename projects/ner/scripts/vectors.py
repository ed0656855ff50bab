"""Print a word's vectors in several sentences, and how similar they are."""

from itertools import combinations
from pathlib import Path
from typing import List, Optional

import numpy as np
import spacy
import typer
from spacy.tokens import Doc, Token
from wasabi import msg

SENTENCES = [
    "They tied the boat to a tree on the bank of the stream.",
    "A village lies on the left bank of the river.",
    "The bank raised its interest rates again.",
    "A large bank in London bought the company.",
]


def main(
    model: Path = typer.Argument(..., exists=True, help="Pipeline with the component 'elmo'"),
    sentences: Optional[List[str]] = typer.Argument(None, help="Sentences that hold the word"),
    word: str = typer.Option("bank", help="The word"),
) -> None:
    """Compare the vectors of a word, those of the component and those of each layer."""
    nlp = spacy.load(model)
    tokens = [find(doc, word) for doc in nlp.pipe(sentences or SENTENCES)]
    rows = [(i, token.doc, start_of(token.vector)) for i, token in enumerate(tokens, start=1)]
    msg.table(rows, header=("", "Sentence", f"Vector of '{word}'"), divider=True, max_col=100)

    layers = [token.doc._.elmo.layers[:, token.i] for token in tokens]
    pairs = []
    for i, j in combinations(range(len(tokens)), 2):
        similarities = [tokens[i].similarity(tokens[j]), *cosines(layers[i], layers[j])]
        pairs.append((similarities, f"{i + 1} and {j + 1}"))
    pairs.sort(reverse=True)
    rows = [(pair, *map("{:.2f}".format, similarities)) for similarities, pair in pairs]
    names = [f"layer {n}" for n in range(len(layers[0]))]
    header = ("", "similarity()", *names)
    msg.table(rows, header=header, divider=True, aligns=("l", *"r" * (len(header) - 1)))
    msg.text(
        f"Layer 0 reads a word's characters alone: every '{word}' is the same to it. The layers "
        "above read the sentence. The component's vector, which similarity() compares, is the "
        "mean of all layers."
    )


def find(doc: Doc, word: str) -> Token:
    """The word's first token in a Doc."""
    found = [token for token in doc if token.text == word]
    if not found:
        msg.fail(f"'{word}' isn't a word of this sentence", doc.text, exits=1)
    return found[0]


def start_of(vector: np.ndarray) -> str:
    """The first numbers of a vector."""
    return " ".join(f"{number:5.2f}" for number in vector[:4]) + " …"


def cosines(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The cosine of each row of the one with the same row of the other."""
    norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return (first * second).sum(axis=1) / norms


if __name__ == "__main__":
    typer.run(main)
