"""Answers by the words that they share with a question: BM25 and TF-IDF."""

from collections import Counter
from collections.abc import Sequence
from typing import Dict, List, NamedTuple

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer
from spacy.tokens import Doc

# Robertson's constants as Lucene has them: how soon repetitions stop to count, and how much long
# answers are held against.
K1, B = 1.2, 0.75


class Words(NamedTuple):
    """What is known of the words of a collection.

    places: The place of each word.
    idf: (n_words,) how rare each is among the answers.
    """

    places: Dict[str, int]
    idf: np.ndarray

    def weight(self, word: str) -> float:
        """A word that no answer has is as rare as the rarest."""
        place = self.places.get(word)
        return float(self.idf[place] if place is not None else self.idf.max())


def words_of(doc: Doc) -> List[str]:
    """The words of a text, in lower case, without punctuation."""
    return [token.lower_ for token in doc if is_word(token.text)]


def is_word(text: str) -> bool:
    """Whether there is a letter or a digit in it."""
    return any(character.isalnum() for character in text)


def count_words(texts: Sequence[Sequence[str]]) -> Words:
    """Words of all answers, and BM25's inverse frequency of each."""
    frequencies = Counter(word for text in texts for word in set(text))
    n = np.array(list(frequencies.values()), dtype="float64")
    idf = np.log(1 + (len(texts) - n + 0.5) / (n + 0.5))
    return Words({word: i for i, word in enumerate(frequencies)}, idf.astype("float32"))


def bm25_matrix(texts: Sequence[Sequence[str]], words: Words) -> csr_matrix:
    """(n_texts, n_words): what a word of a question adds to the score of each text."""
    lengths = np.array([len(text) for text in texts])
    norms = K1 * (1 - B + B * lengths / max(lengths.mean(), 1))
    rows, columns, values = [], [], []
    for i, text in enumerate(texts):
        for word, n in Counter(text).items():
            place = words.places[word]
            rows.append(i)
            columns.append(place)
            values.append(words.idf[place] * n * (K1 + 1) / (n + norms[i]))
    shape = (len(texts), len(words.places))
    return csr_matrix((np.array(values, "float32"), (rows, columns)), shape=shape)


def count_questions(questions: Sequence[Sequence[str]], words: Words) -> csr_matrix:
    """(n_questions, n_words): how often each question has each word."""
    pairs = [
        (i, words.places[word])
        for i, question in enumerate(questions)
        for word in question
        if word in words.places
    ]
    rows, columns = zip(*pairs, strict=True) if pairs else ((), ())
    ones = np.ones(len(pairs), "float32")
    return csr_matrix((ones, (rows, columns)), shape=(len(questions), len(words.places)))


def tfidf_scores(texts: Sequence[Sequence[str]], questions: Sequence[Sequence[str]]) -> np.ndarray:
    """(n_questions, n_texts) cosines of scikit-learn's TF-IDF vectors."""
    vectorizer = TfidfVectorizer(analyzer=list, sublinear_tf=True)
    matrix = vectorizer.fit_transform(texts)
    return (vectorizer.transform(questions) @ matrix.T).toarray().astype("float32")
