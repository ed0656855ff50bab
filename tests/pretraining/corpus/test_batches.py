"""Sentences are put together again from the windows that they were cut into."""

import json
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_corpora import make_store, make_vocabulary, random_sentences

from spacy_elmo.pretraining.corpus.batches import Batches, _cut
from spacy_elmo.pretraining.corpus.vocabulary import Vocabulary

BOUNDARIES = ("<S>", "</S>")


def make_batches(sentences, **options):
    store = make_store(sentences)
    vocabulary = options.pop("vocabulary", None) or make_vocabulary(store)
    settings = {"batch_size": 3, "n_steps": 4, "seed": 0, **options}
    return Batches(store, vocabulary, BOUNDARIES, **settings)


def read(batches, n):
    """Reads n batches.

    RETURNS: For each stream the words that are read in either direction, those that are to be
    predicted (as the vocabulary has them), and whether they are kept: lists of 5-tuples.
    """
    streams = [[] for _ in range(batches.batch_size)]
    vocabulary = make_vocabulary(batches.store)
    for _ in range(n):
        batch = batches.next()
        shape = (2, batches.n_steps, batches.batch_size)
        assert batch.inputs.shape == batch.targets.shape == (2, shape[1] * shape[2])
        assert batch.keep.shape == (shape[1] * shape[2], 1)
        assert batch.sizes == [batches.batch_size] * batches.n_steps
        words = np.array([*batch.words[0], *batch.words[1]])
        inputs = words[batch.inputs.numpy()].reshape(shape)
        targets = np.array(vocabulary.words)[batch.targets.numpy()].reshape(shape)
        keep = batch.keep.numpy().reshape(shape[1:])
        for i, stream in enumerate(streams):
            stream.extend(
                zip(
                    *inputs[:, :, i].tolist(),
                    *targets[:, :, i].tolist(),
                    keep[:, i].tolist(),
                    strict=True,
                )
            )
    return streams


def sentences_of(stream):
    """The sentences of a stream that were read to their end, cut where nothing is kept."""
    starts = [i for i, row in enumerate(stream) if row[-1] == 0]
    ended = [stream[start:end] for start, end in pairwise(starts)]
    last = stream[starts[-1] :]
    return ended + ([last] if last[-1][2] == "</S>" else [])


def check_sentence(rows):
    """RETURNS: The words."""
    forward, backward, after, before, keep = map(list, zip(*rows, strict=True))
    words = forward[1:]
    assert forward == ["<S>", *words]
    assert after == [*words, "</S>"]
    assert backward == ["</S>", *words[::-1]]
    assert before == [*words[::-1], "<S>"]
    assert keep == [0, *[1] * len(words)]
    return tuple(words)


@settings(max_examples=60, deadline=None)
@given(
    sentences=st.lists(
        st.lists(st.sampled_from(["a", "bb", "ccc", "dddd", "é"]), min_size=1, max_size=9),
        min_size=1,
        max_size=12,
    ),
    batch_size=st.integers(1, 5),
    n_steps=st.integers(1, 7),
    seed=st.integers(0, 3),
)
def test_streams_are_the_sentences(sentences, batch_size, n_steps, seed):
    batches = make_batches(sentences, batch_size=batch_size, n_steps=n_steps, seed=seed)
    n_tokens = sum(len(sentence) + 1 for sentence in sentences)
    n_batches = 2 + 3 * n_tokens // (batch_size * n_steps)
    found = Counter()
    for stream in read(batches, n_batches):
        found.update(check_sentence(rows) for rows in sentences_of(stream))
    # Sentences come as often as in the corpus, but for those of an epoch that isn't over.
    corpus = Counter(map(tuple, sentences))
    assert found.keys() <= corpus.keys()
    for sentence, n in corpus.items():
        assert n * (batches.epoch - batch_size) <= found[sentence] <= n * (batches.epoch + 1)


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_all_processes_together_read_each_sentence_once_an_epoch(world_size):
    sentences = [[f"w{i}", *["a"] * (i % 4)] for i in range(23)]
    for epoch in range(3):
        found = []
        for rank in range(world_size):
            batches = make_batches(
                sentences, batch_size=1, n_steps=1, rank=rank, world_size=world_size
            )
            rows = []
            while batches.epoch <= epoch:  # which begins when its first sentence is taken
                (stream,) = read(batches, 1)
                rows += stream if batches.epoch == epoch else []
            found += map(check_sentence, sentences_of(rows))
        assert sorted(found) == sorted(map(tuple, sentences))


def test_order_depends_on_seed_and_epoch():
    sentences = [[f"w{i}"] for i in range(20)]
    orders = []
    for seed in (0, 0, 1):
        batches = make_batches(sentences, batch_size=1, n_steps=40, seed=seed)
        epochs = [read(batches, 1) for _ in range(2)]
        assert epochs[0] != epochs[1]
        orders.append(epochs)
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]


def test_words_that_are_read_are_distinct_and_sorted_by_length():
    batch = make_batches(random_sentences(40)).next()
    shorter, longer = batch.words
    words = [*shorter, *longer]
    assert len(set(words)) == len(words) == int(batch.inputs.max()) + 1
    assert [len(word) for word in words] == sorted(len(word) for word in words)


def test_words_that_the_vocabulary_lacks_are_read_and_predicted_as_unknown():
    sentences = [["often", "rare", "often"]]
    store = make_store(sentences)
    vocabulary = make_vocabulary(store, min_count=2)
    batch = make_batches(sentences, vocabulary=vocabulary, batch_size=1).next()
    words = np.array([*batch.words[0], *batch.words[1]])
    assert words[batch.inputs[0]].tolist() == ["<S>", "often", "rare", "often"]
    expected = ["often", "<UNK>", "often", "</S>"]
    assert [vocabulary.words[i] for i in batch.targets[0].tolist()] == expected
    assert [vocabulary.words[i] for i in batch.targets[1].tolist()] == [*expected[:3], "<S>"]


@pytest.mark.parametrize("n", [0, 1, 7, 40])
@pytest.mark.parametrize("rank", [0, 1])
def test_it_goes_on_from_its_state(n, rank):
    def make():
        return make_batches(random_sentences(30), rank=rank, world_size=2)

    unbroken, broken, resumed = make(), make(), make()
    expected = read(unbroken, n + 20)
    first = read(broken, n)
    resumed.set_state(json.loads(json.dumps(broken.state())))
    second = read(resumed, 20)
    assert [a + b for a, b in zip(first, second, strict=True)] == expected
    assert resumed.state() == unbroken.state()


def test_fewer_sentences_than_processes():
    with pytest.raises(ValueError, match="1 sentences can't be shared by 2 processes"):
        make_batches([["a"]], rank=1, world_size=2)


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


def test_a_window_of_one_word_fills_both_parts():
    store = make_store([["dog"] * 5])
    vocabulary = Vocabulary.from_counts({"dog": 5})
    batches = Batches(store, vocabulary, BOUNDARIES, batch_size=1, n_steps=2, seed=0)
    windows = [batches.next() for _ in range(3)]
    assert windows[1].words == (["dog"], ["dog"])
    assert windows[1].inputs.tolist() == [[0, 0], [0, 0]]
    assert all(first and second for first, second in (window.words for window in windows))
