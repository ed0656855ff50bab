"""Sentences are put together again from the batches that they were put into."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_corpora import make_store, make_vocabulary, random_sentences, rows_of_sentences

from spacy_elmo.pretraining.distillation import sentence_batches as module
from spacy_elmo.pretraining.distillation.sentence_batches import SentenceBatches
from spacy_elmo.pretraining.distillation.targets import TargetStore

BOUNDARIES = ("<S>", "</S>")
SENTENCES = random_sentences(80)
STORE = make_store(SENTENCES)


@pytest.fixture(autouse=True)
def small_pool(monkeypatch):
    monkeypatch.setattr(module, "_POOL", 5)


def make_targets(sentences, store=STORE):
    """Of each word: the number of its sentence and its place there."""
    lengths = np.diff(store.starts)[list(sentences)]
    rows = [(s, i) for s, n in zip(sentences, lengths, strict=True) for i in range(n)]
    starts = np.concatenate([[0], np.cumsum(lengths)])
    return TargetStore(np.array(sentences), starts, np.array(rows, "int8"))


def make_batches(with_targets=range(30), store=STORE, **options):
    options = {"batch_size": 4, "n_steps": 6, "seed": 0, "share": 0.5, **options}
    targets = make_targets(with_targets, store)
    return SentenceBatches(store, make_vocabulary(store), BOUNDARIES, targets, **options)


def sentences_of(batch, vocabulary):
    """For each sentence of a batch what each direction reads and predicts; and its tokens' rows."""
    words = np.array([*batch.words[0], *batch.words[1]])
    inputs, targets = words[batch.inputs.numpy()], np.array(vocabulary.words)[batch.targets.numpy()]
    assert sum(batch.sizes) == batch.inputs.shape[1]
    return [
        (*(inputs[way, rows].tolist() for way in (0, 1)),
         *(targets[way, rows].tolist() for way in (0, 1)), rows)
        for rows in rows_of_sentences(batch.sizes)
    ]  # fmt: skip


def read(batches, n):
    """The sentences of n batches."""
    vocabulary = make_vocabulary(batches.store)
    return [one for _ in range(n) for one in sentences_of(batches.next(), vocabulary)]


def test_both_directions_read_and_predict_whole_sentences():
    for forward, backward, next_words, words_before, _ in read(make_batches(), 20):
        words = forward[1:]
        assert words in SENTENCES
        assert forward == ["<S>", *words]
        assert next_words == [*words, "</S>"]
        assert backward == ["</S>", *words[::-1]]
        assert words_before == [*words[::-1], "<S>"]


def test_nothing_is_kept_from_before():
    assert make_batches().next().keep is None


@given(n_with_targets=st.integers(1, 80), seed=st.integers(0, 5))
@settings(max_examples=20, deadline=None)
def test_lessons_are_those_of_their_words(n_with_targets, seed):
    batches = make_batches(range(n_with_targets), seed=seed)
    vocabulary = make_vocabulary(STORE)
    n_taught = 0
    for _ in range(8):
        batch = batches.next()
        places = {}
        for forward, backward, _, _, rows in sentences_of(batch, vocabulary):
            for row, word, back in zip(rows, forward, backward, strict=True):
                places[row] = (word, back)
        if batch.lessons is None:
            continue
        targets = (batch.lessons.targets.numpy() * 24).round().astype(int)
        for (sentence, place), forward, backward in zip(
            targets.tolist(), *batch.lessons.rows.tolist(), strict=True
        ):
            word = STORE.sentence(sentence)[place]
            assert places[forward][0] == word
            assert places[backward][1] == word
            n_taught += 1
    assert n_taught > 0


def test_each_sentence_comes_once_in_a_pass():
    batches = make_batches(range(80))
    seen = Counter()
    while sum(seen.values()) < 2 * len(SENTENCES):
        seen.update(" ".join(forward[1:]) for forward, *_ in read(batches, 1))
    expected = Counter(" ".join(sentence) for sentence in SENTENCES)
    assert all(n >= expected[text] for text, n in seen.items())
    assert set(seen) == set(expected)
    extra = sum(seen.values()) - 2 * len(SENTENCES)
    assert sum(abs(seen[text] - 2 * n) for text, n in expected.items()) <= 2 * extra + 24


@pytest.mark.parametrize("share", [0.2, 0.8, 1.0])
def test_a_share_has_targets(share):
    batches = make_batches(range(30), share=share)
    taught = total = 0
    for _ in range(200):
        batch = batches.next()
        total += batch.inputs.shape[1] - batch.sizes[0]
        taught += 0 if batch.lessons is None else len(batch.lessons.targets)
    assert taught / total == pytest.approx(share, abs=0.05)


def test_batches_have_about_so_many_tokens():
    batches = make_batches()
    sizes = [batches.next().inputs.shape[1] for _ in range(200)]
    assert np.mean(sizes) == pytest.approx(24, rel=0.1)
    assert max(sizes) <= 24 + 10


def test_lengths_are_similar_within_a_batch():
    batches = make_batches(range(80))
    spreads = []
    for _ in range(50):
        lengths = [len(forward) for forward, *_ in read(batches, 1)]
        spreads.append(max(lengths) - min(lengths))
    assert np.mean(spreads) < 2.5


def test_epochs_are_counted_by_tokens():
    batches = make_batches(range(80))
    n_tokens = STORE.n_tokens + STORE.n_sentences
    assert batches.steps_per_epoch == n_tokens / 24
    total = 0
    for _ in range(100):
        total += batches.next().inputs.shape[1]
        assert batches.epoch == total // n_tokens


@given(n_before=st.integers(0, 60), seed=st.integers(0, 3))
@settings(max_examples=20, deadline=None)
def test_a_state_is_gone_on_from(n_before, seed):
    batches = make_batches(seed=seed)
    for _ in range(n_before):
        batches.next()
    state = batches.state()
    resumed = make_batches(seed=seed)
    resumed.set_state(state)
    assert resumed.epoch == batches.epoch
    for _ in range(12):
        one, other = batches.next(), resumed.next()
        assert one.words == other.words
        assert one.sizes == other.sizes
        assert one.inputs.equal(other.inputs)
        assert one.targets.equal(other.targets)
        assert (one.lessons is None) == (other.lessons is None)
        if one.lessons is not None:
            assert one.lessons.targets.equal(other.lessons.targets)


def test_processes_share_the_sentences():
    shares = []
    for rank in range(2):
        batches = make_batches(range(30), rank=rank, world_size=2)
        shares.append(Counter(" ".join(forward[1:]) for forward, *_ in read(batches, 3)))
    once = {text for text, n in Counter(map(" ".join, SENTENCES)).items() if n == 1}
    assert not once & set(shares[0]) & set(shares[1])


def test_too_few_sentences_for_the_processes():
    with pytest.raises(ValueError, match="1 sentences can't be shared by 2 processes"):
        make_batches([0], rank=0, world_size=2)
