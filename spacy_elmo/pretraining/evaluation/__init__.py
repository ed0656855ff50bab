"""What a biLM is worth. ``perplexity`` measures how well it predicts a text, ``neighbours`` shows
without a softmax what it makes of words in context."""

from .neighbours import Neighbour, Neighbours, Occurrence, find_neighbours
from .perplexity import Perplexity, Sentences, StoredSentences, perplexity, streams_of

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
