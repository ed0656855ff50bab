import json
from collections import Counter

import numpy as np
import pytest

from spacy_elmo import BiLM


def test_sentences_are_balanced():
    from check import SENTENCES, read_occurrences

    occurrences = read_occurrences(SENTENCES)
    counts = Counter((occurrence.word, occurrence.sense) for occurrence in occurrences)
    assert set(counts.values()) == {20}
    assert list(Counter(word for word, _ in counts).items()) == [
        (word, 2) for word in ("bank", "spring", "bat", "light", "charge", "plant")
    ]
    assert len({tuple(occurrence.words) for occurrence in occurrences}) == 240


@pytest.mark.parametrize("text", ["The river rose.", "A bank beside a bank."])
def test_a_word_that_is_not_one_token_is_an_error(tmp_path, text):
    from check import read_occurrences

    path = tmp_path / "sentences.jsonl"
    path.write_text(json.dumps({"word": "bank", "sense": "river", "text": text}))
    with pytest.raises(ValueError, match="isn't exactly one token of"):
        read_occurrences(path)


def test_nearest_of_the_same_sense():
    from check import nearest_agree

    vectors = np.array([[1, 0], [9, 1], [0, 1], [1, 9], [8, 1]], dtype="float32")
    senses = np.array(["a", "a", "b", "b", "b"])
    # The last vector's nearest is the second and the other way round, of other senses.
    assert nearest_agree(vectors, senses) == pytest.approx(3 / 5)


def test_ties_count_by_their_share():
    from check import nearest_agree

    vectors = np.repeat(np.array([[0.1, 0.2, 0.7]], dtype="float32"), 40, axis=0)
    assert nearest_agree(vectors, np.repeat(["a", "b"], 20)) == pytest.approx(19 / 39)


def test_the_token_encoder_knows_no_senses():
    from check import SENTENCES, check, embed, read_occurrences

    occurrences = read_occurrences(SENTENCES)
    layers = embed(BiLM.load("en_small"), occurrences)
    assert set(check(layers["0"], occurrences).values()) == {48.7}
    assert check(layers["2"], occurrences)["all"] > 60
