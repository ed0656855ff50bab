"""What a text's classification owes to each of its words: the text without the word is classified,
too, and what is lost is what the word brought."""

from dataclasses import dataclass
from typing import List

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc

_LIMIT = 1e-6  # probabilities of 0 and 1 have no odds


@dataclass(frozen=True)
class Marked:
    """words: Of the text.
    spaces: Whether a space follows each.
    score: Log-odds of the label, by the whole text; above 0, the label is likelier than not.
    effects: (n_words,) by how much the log-odds fall when a word is left out."""

    words: List[str]
    spaces: List[bool]
    score: float
    effects: np.ndarray

    @property
    def percent(self) -> int:
        """How likely the label is."""
        return round(100 / (1 + np.exp(-self.score)))


def mark_words(nlp: Language, doc: Doc, label: str) -> Marked:
    """Leave out each word of a text in turn.

    nlp: A trained pipeline whose texts have exactly one label.
    doc: The text, at least two words.
    label: The one that is asked for.
    RAISES ValueError: The text is shorter.
    """
    words = [token.text for token in doc]
    spaces = [bool(token.whitespace_) for token in doc]
    if len(words) < 2:
        raise ValueError(f"Of a text of one word, none can be left out: {doc.text!r}")
    texts = [Doc(nlp.vocab, words=words, spaces=spaces)]
    for i in range(len(words)):
        kept = (words[:i] + words[i + 1 :], spaces[:i] + spaces[i + 1 :])
        texts.append(Doc(nlp.vocab, words=kept[0], spaces=kept[1]))
    scores = np.array([log_odds(text.cats[label]) for text in nlp.pipe(texts)])
    return Marked(words, spaces, float(scores[0]), scores[0] - scores[1:])


def log_odds(probability: float) -> float:
    """The natural logarithm of a probability over that of the contrary."""
    p = min(max(probability, _LIMIT), 1 - _LIMIT)
    return float(np.log(p / (1 - p)))
