"""Small corpora for tests of training."""

import numpy as np

from spacy_elmo.pretraining.corpus.token_store import TokenStore
from spacy_elmo.pretraining.corpus.vocabulary import Vocabulary


def make_store(sentences):
    """sentences: Lists of words."""
    words = sorted({word for sentence in sentences for word in sentence})
    ids = {word: i for i, word in enumerate(words)}
    tokens = np.array([ids[word] for sentence in sentences for word in sentence], "int32")
    starts = np.cumsum([0, *map(len, sentences)])
    return TokenStore(words, np.bincount(tokens, minlength=len(words)), tokens, starts)


def make_vocabulary(store, **options):
    return Vocabulary.from_counts(
        dict(zip(store.words, store.counts.tolist(), strict=True)), **options
    )


def rows_of_sentences(sizes):
    """For each sentence the rows of its tokens, which stand step after step.

    sizes: Tokens of each step, never growing.
    """
    columns = [[] for _ in range(sizes[0])]
    row = 0
    for size in sizes:
        for column in columns[:size]:
            column.append(row)
            row += 1
    return columns


def random_sentences(n, seed=0):
    """Sentences of up to 9 words, in which each word suggests the next one."""
    random = np.random.default_rng(seed)
    words = [f"{'abcdefghij'[i % 10] * (1 + i // 10)}" for i in range(30)]
    sentences = []
    for _ in range(n):
        word = int(random.integers(30))
        sentence = []
        for _ in range(random.integers(1, 10)):
            sentence.append(words[word])
            word = (word * 7 + int(random.integers(3))) % 30
        sentences.append(sentence)
    return sentences
