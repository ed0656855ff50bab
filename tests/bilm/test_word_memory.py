import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from spacy_elmo.bilm.word_memory import WordMemory

DIM = 4
ROW = 4 * DIM  # bytes


def vector(word):
    """Tells words apart."""
    return [float(len(word)), *(float(ord(c)) for c in (word + "\0" * DIM)[: DIM - 1])]


class Encoder:
    """Notes what it is asked for."""

    def __init__(self):
        self.asked = []

    def __call__(self, words):
        self.asked.append(list(words))
        return torch.tensor([vector(word) for word in words])


@pytest.fixture
def encoder():
    return Encoder()


def check(found, words):
    table, rows = found
    assert rows.dtype == torch.int64
    assert table[rows].tolist() == [vector(word) for word in words]


def test_each_word_is_encoded_once(encoder):
    memory = WordMemory(encoder, 1000 * ROW)
    for words in (["a", "b", "a"], ["b", "c", "a", "c"], ["c"]):
        check(memory.look_up(words), words)
    assert encoder.asked == [["a", "b"], ["c"]]


def test_words_that_look_alike_are_different(encoder):
    words = ["a", "A", "ä", "a\u0308", "", " ", "\0", "\ud800", "aa"]
    check(WordMemory(encoder, 1000 * ROW).look_up(words), words)
    assert encoder.asked == [words]


@pytest.mark.parametrize("n_rows", [1, 3, 10, 16])
def test_the_table_is_bounded(encoder, n_rows):
    """Unless one batch has more words."""
    memory = WordMemory(encoder, n_rows * ROW)
    for i in range(60):
        words = [f"{i}", f"{i // 2}", f"{i % 7}"][:n_rows]
        found = memory.look_up(words)
        check(found, words)
        assert len(found[0]) <= n_rows


def test_a_full_memory_starts_again(encoder):
    memory = WordMemory(encoder, 3 * ROW)
    for words in (["a", "b"], ["c"], ["a", "c"], ["b", "d"], ["a"], ["b", "d"]):
        check(memory.look_up(words), words)
    assert encoder.asked == [["a", "b"], ["c"], ["b", "d"], ["a"]]


def test_long_words_fill_the_memory(encoder):
    memory = WordMemory(encoder, 1000 * ROW)
    long = "x" * 900 * ROW
    for words in (["a", long], ["b" * 200 * ROW], ["a"]):
        check(memory.look_up(words), words)
    assert encoder.asked == [["a", long], ["b" * 200 * ROW], ["a"]]


def test_a_batch_may_have_more_words_than_fit(encoder):
    memory = WordMemory(encoder, 3 * ROW)
    words = [str(i) for i in range(10)]
    check(memory.look_up(words), words)
    check(memory.look_up(words), words)  # what is there is used
    assert encoder.asked == [words]
    check(memory.look_up([*words, "new"]), [*words, "new"])
    check(memory.look_up(["a"]), ["a"])
    assert encoder.asked[1:] == [[*words, "new"], ["a"]]
    assert len(memory.look_up(["a"])[0]) <= 3


def test_what_was_given_out_never_changes(encoder):
    memory = WordMemory(encoder, 8 * ROW)
    found = []
    for i in range(40):
        words = [f"{i}", f"{i // 3}"]
        found.append((memory.look_up(words), words))
        for earlier, its_words in found:
            check(earlier, its_words)


def test_an_error_of_the_encoder_leaves_the_memory_as_it_was(encoder):
    def encode(words):
        if "bad" in words:
            raise KeyError("bad")
        return encoder(words)

    memory = WordMemory(encode, 3 * ROW)
    check(memory.look_up(["a", "b"]), ["a", "b"])
    for words in (["a", "bad"], ["bad", "c", "d"]):
        with pytest.raises(KeyError):
            memory.look_up(words)
    check(memory.look_up(["a", "c", "b"]), ["a", "c", "b"])


def test_threads_share_it():
    """With so little room that they make each other's words be forgotten all the time."""
    memory = WordMemory(Encoder(), 5 * ROW)
    start = threading.Barrier(4, timeout=20)

    def work(seed):
        start.wait()
        for i in range(400):
            words = [f"{(i * step + seed) % 11}" for step in (1, 3, 5)]
            check(memory.look_up(words), words)

    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(work, seed) for seed in range(4)]:
            future.result(timeout=60)
