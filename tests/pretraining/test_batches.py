import numpy as np
import pytest

from spacy_elmo.pretraining.batches import Batches, _cut
from spacy_elmo.pretraining.token_store import TokenStore
from spacy_elmo.pretraining.tokenize import Tokenization, tokenize
from spacy_elmo.pretraining.vocabulary import Vocabulary


@pytest.mark.parametrize("n_words", [2, 3, 50])
def test_both_parts_of_the_words_take_about_the_same_time(n_words):
    lengths = np.sort(np.random.default_rng(n_words).integers(1, 70, n_words)).tolist()

    def slower(cut):
        parts = [lengths[:cut], lengths[cut:]]
        # Padded to the longest with begin, end and filters of 5, to 50 at most.
        return max(len(part) * min(max(part) + 7, 50) for part in parts)

    cut = _cut(lengths)
    assert 1 <= cut < n_words
    assert slower(cut) == min(slower(other) for other in range(1, n_words))


def test_a_window_of_one_word_fills_both_parts(tmp_path):
    import spacy

    store = tokenize(
        lambda nlp: iter(["dog dog dog dog dog"]),
        tmp_path,
        Tokenization.of(spacy.blank("en")),
        n_process=1,
    )
    assert isinstance(store, TokenStore)
    vocabulary = Vocabulary.from_counts({"dog": 5})
    batches = Batches(store, vocabulary, ("<S>", "</S>"), batch_size=1, n_steps=2, seed=0)
    windows = [batches.next() for _ in range(3)]
    assert windows[1].words == (["dog"], ["dog"])
    assert windows[1].inputs.tolist() == [[0, 0], [0, 0]]
    assert all(first and second for first, second in (window.words for window in windows))
