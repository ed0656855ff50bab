"""What a biLM is worth. ``perplexity`` measures how well it predicts a text, whose ``sentences`` it
reads, with the ``full_softmax``; ``predictions`` tell it word by word, and what could stand in a
word's place. ``neighbours`` shows without one what it makes of words in context."""

from .neighbours import Neighbour, Neighbours, Occurrence, find_neighbours
from .perplexity import Perplexity, perplexity
from .predictions import Predictions, Substitute, Surprisal
from .sentences import Sentences, StoredSentences, streams_of

__all__ = [
    "Neighbour",
    "Neighbours",
    "Occurrence",
    "Perplexity",
    "Predictions",
    "Sentences",
    "StoredSentences",
    "Substitute",
    "Surprisal",
    "find_neighbours",
    "perplexity",
    "streams_of",
]
