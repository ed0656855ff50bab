import numpy as np
import pytest

from spacy_elmo.explore import Index, find_or_build_index, nearest, neighbours

WEIGHTS = np.array([0.2, 0.5, 0.3])


@pytest.fixture
def query(subject):
    return subject.bilm.embed([["The", "bank", "is", "closed"]])[0][:, 1]


def slowly(index, query, weights):
    """For each row the cosine of the mixes, in float64, and its sentence."""
    mixed = sum(w * layer.astype(float) for w, layer in zip(weights, query, strict=True))
    results = []
    for sentence in range(index.store.n_sentences):
        words = index.store.sentence(sentence)
        for position in range(len(words)):
            row = len(results)
            vector = sum(
                w * x[row].astype(float) for w, x in zip(weights, index.layers, strict=True)
            )
            cosine = mixed @ vector / np.linalg.norm(mixed) / np.linalg.norm(vector)
            results.append((cosine, tuple(words), position))
    return results


def best_of_each_sentence(scored):
    best = {}
    for cosine, words, position in scored:
        if words not in best or cosine > best[words][0]:
            best[words] = (cosine, words, position)
    return sorted(best.values(), reverse=True)


@pytest.mark.parametrize("weights", [WEIGHTS, [1, 0, 0], [0, 0, 1], [0.0, 1.5, 0.5]])
def test_nearest_is_what_the_plain_formula_says(index, query, weights, monkeypatch):
    monkeypatch.setattr(neighbours, "BLOCK", 7)
    expected = best_of_each_sentence(slowly(index, query, weights))
    found = nearest(index, query, np.array(weights), 10)
    assert len(found) == len(expected) == 4  # of five sentences, two are the same
    cosines = [neighbour.cosine for neighbour in found]
    assert cosines == sorted(cosines, reverse=True)
    by_sentence = {tuple(f.occurrence.words): f for f in found}
    for cosine, words, position in expected:
        neighbour = by_sentence[words]
        assert neighbour.cosine == pytest.approx(cosine, abs=1e-5)
        assert words[neighbour.occurrence.position] == words[position]


def test_only_so_many(index, query):
    assert nearest(index, query, WEIGHTS, 2) == nearest(index, query, WEIGHTS, 10)[:2]


def test_among_some_rows(index, query):
    rows = index.rows_of("bank")
    found = nearest(index, query, WEIGHTS, 10, among=rows)
    scored = [scored for i, scored in enumerate(slowly(index, query, WEIGHTS)) if i in rows]
    expected = best_of_each_sentence(scored)
    assert [tuple(f.occurrence.words) for f in found] == [words for _, words, _ in expected]
    assert [f.occurrence.position for f in found] == [position for *_, position in expected]
    assert {f.occurrence.words[f.occurrence.position].lower() for f in found} == {"bank"}


def test_among_none(index, query):
    assert nearest(index, query, WEIGHTS, 3, among=np.array([], "int64")) == []


def test_the_querys_own_sentence_is_left_out(index, subject):
    words = ["She", "left", "the", "bank", "."]
    own = subject.bilm.embed([words])[0][:, 3]
    first = nearest(index, own, WEIGHTS, 1)[0]
    assert first.occurrence == (words, 3)
    assert first.cosine == pytest.approx(1, abs=1e-5)
    others = nearest(index, own, WEIGHTS, 10, but=words)
    assert len(others) == 3
    assert all(other.occurrence.words != words for other in others)


def test_a_vector_of_zeros_is_near_to_nothing(index):
    found = nearest(index, np.zeros((3, 8), "float32"), WEIGHTS, 2)
    assert [neighbour.cosine for neighbour in found] == [0, 0]


def test_a_biLM_of_one_lstm_layer(tmp_path, texts):
    from helpers import save_tiny_bilm

    from spacy_elmo.explore import open_subject

    subject = open_subject(save_tiny_bilm(tmp_path / "one", n_layers=1))
    index = Index.open(find_or_build_index(subject, texts), 2, 8)
    query = subject.bilm.embed([["bank"]])[0][:, 0]
    expected = best_of_each_sentence(slowly(index, query, [0.5, 0.5]))
    found = nearest(index, query, np.array([0.5, 0.5]), 1)
    assert found[0].cosine == pytest.approx(expected[0][0], abs=1e-5)
