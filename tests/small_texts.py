"""Texts for tests of tokenizing, and what becomes of them."""

import numpy as np
import spacy

from spacy_elmo.pretraining.corpus.tokenization import Tokenization
from spacy_elmo.pretraining.corpus.tokenize import tokenized_chunks

TEXTS = [
    "He sat on the bank. It was  green!\n\nThe river's bank (1.5 km)…",
    "",
    " \n ",
    "Money? “In the bank,” she said.",
    "日本 银行。Hello",
] * 7
ENGLISH = Tokenization.of(spacy.blank("en"))
WHOLE = {"@span_getters": "spacy-elmo.whole_doc.v1"}


class Texts:
    """A reader that counts how often it is asked."""

    def __init__(self, texts):
        self.texts, self.n_read = texts, 0

    def __call__(self, nlp):
        self.n_read += 1
        yield from self.texts

    def fingerprint(self):
        return [str(text) for text in self.texts]


def sentences_of(chunks):
    return [
        [chunk.words[token] for token in tokens]
        for chunk in chunks
        for tokens in np.split(chunk.tokens, np.cumsum(chunk.lengths)[:-1])
        if len(tokens)
    ]


def tokenized(*texts, tokenization=ENGLISH, n_process=1):
    return sentences_of(tokenized_chunks(Texts(texts), tokenization, n_process))


def contents(directory):
    names = [path for path in directory.iterdir() if path.name != ".lock"]
    return {path.name: path.read_bytes() for path in names}
