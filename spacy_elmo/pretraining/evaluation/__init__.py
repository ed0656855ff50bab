"""What a biLM is worth. ``perplexity`` measures how well it predicts a text, whose ``sentences`` it
reads, with the ``full_softmax``. ``neighbours`` shows without one what it makes of words in
context."""

from .neighbours import Neighbour, Neighbours, Occurrence, find_neighbours
from .perplexity import Perplexity, perplexity
from .sentences import Sentences, StoredSentences, streams_of

__all__ = [
    "Neighbour",
    "Neighbours",
    "Occurrence",
    "Perplexity",
    "Sentences",
    "StoredSentences",
    "find_neighbours",
    "perplexity",
    "streams_of",
]
