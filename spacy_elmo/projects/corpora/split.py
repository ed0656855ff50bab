"""Parts of a corpus: what is held out, and shares of what is left."""

import random
from collections.abc import Sequence

from spacy.tokens import Doc

HELD_OUT = 0.1  # of the training texts, where there are none for development
_SEED = 0  # of what is held out: always the same


def hold_out(
    documents: list[list[Doc]], share: float = HELD_OUT
) -> tuple[list[list[Doc]], list[list[Doc]]]:
    """Choose whole documents with about a share of the texts together, twice that at most, unless
    all documents are longer.

    RETURNS: The others and the chosen ones, each in their order.
    """
    order = list(range(len(documents)))
    random.Random(_SEED).shuffle(order)
    wanted = share * sum(map(len, documents))
    chosen: set[int] = set()
    n_texts = 0
    for i in order:
        if n_texts < wanted and n_texts + len(documents[i]) <= 2 * wanted:
            chosen.add(i)
            n_texts += len(documents[i])
    if not chosen:
        chosen.add(min(order, key=lambda i: len(documents[i])))
    kept = [document for i, document in enumerate(documents) if i not in chosen]
    return kept, [documents[i] for i in sorted(chosen)]


def draw(docs: Sequence[Doc], share: float, seed: int) -> list[Doc]:
    """Choose texts at random, in their order; the choice is that of the seed.

    share: How many of them, 1 for all.
    RAISES ValueError: There would be none.
    """
    if share == 1:
        return list(docs)
    n = round(share * len(docs))
    if n < 1:
        raise ValueError(f"A share of {share:g} of {len(docs)} texts is none.")
    chosen = sorted(random.Random(seed).sample(range(len(docs)), n))
    return [docs[i] for i in chosen]
