from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_corpora import make_store, random_sentences
from small_teachers import SmallTeacher, vector

from spacy_elmo.pretraining.distillation import targets as module
from spacy_elmo.pretraining.distillation.targets import compute_targets

STORE = make_store(random_sentences(60))
N_WORDS = STORE.n_tokens


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(module, "_CHUNK_WORDS", 20)


def expected(store, sentences):
    """The teacher's own words, sentence after sentence."""
    texts = [store.sentence(i) for i in sentences]
    return [np.stack([vector(w, b) for w, b in zip(s, ["", *s[:-1]], strict=True)]) for s in texts]


def check(store, targets, n_of_first_chunk=20):
    """Targets are the teacher's vectors but for a scale for each dimension and for rounding."""
    texts = expected(store, targets.sentences)
    sizes = np.cumsum([len(text) for text in texts])
    first = np.concatenate(texts[: np.searchsorted(sizes, n_of_first_chunk) + 1])
    mean, deviation = first.mean(axis=0), first.std(axis=0)
    for i, text in enumerate(texts):
        vectors, is_known = targets.read(i)
        assert is_known.all()
        normal = (text - mean) / deviation
        np.testing.assert_allclose(vectors, normal.clip(-127 / 24, 127 / 24), atol=0.51 / 24)


def test_all_of_a_text(tmp_path):
    targets = compute_targets(STORE, SmallTeacher(), tmp_path, 10**9)
    assert sorted(targets.sentences) == list(range(STORE.n_sentences))
    assert (targets.n_words, targets.width) == (N_WORDS, 6)
    check(STORE, targets)


def test_no_more_words_than_allowed(tmp_path):
    targets = compute_targets(STORE, SmallTeacher(), tmp_path, 100)
    assert 90 < targets.n_words <= 100
    assert len(set(targets.sentences)) == len(targets.sentences)
    check(STORE, targets)


def test_the_teacher_reads_once(tmp_path):
    teacher = SmallTeacher()
    first = compute_targets(STORE, teacher, tmp_path, 100)
    n_words = teacher.n_words
    again = compute_targets(STORE, teacher, tmp_path, 100)
    assert teacher.n_words == n_words
    np.testing.assert_array_equal(first.values, again.values)
    fewer = compute_targets(STORE, teacher, tmp_path, 50)
    assert teacher.n_words == n_words
    assert fewer.n_words <= 50
    check(STORE, fewer)


def test_more_words_later(tmp_path):
    teacher = SmallTeacher()
    compute_targets(STORE, teacher, tmp_path, 100)
    more = compute_targets(STORE, teacher, tmp_path, 200)
    assert teacher.n_words == more.n_words
    assert 190 < more.n_words <= 200
    check(STORE, more)


@settings(max_examples=30, deadline=None)
@given(lost=st.tuples(st.integers(0, 400), st.integers(0, 200)))
def test_what_a_killed_run_leaves_is_gone_on_with(tmp_path_factory, lost):
    folder = tmp_path_factory.mktemp("targets")
    module._CHUNK_WORDS = 20
    whole = compute_targets(STORE, SmallTeacher(), folder / "whole", 150)
    compute_targets(STORE, SmallTeacher(), folder / "killed", 80)
    for name, n_bytes in zip(("targets.i8", "sentences.i64"), lost, strict=True):
        path = folder / "killed" / name
        path.write_bytes(path.read_bytes()[: max(0, path.stat().st_size - n_bytes)])
    targets = compute_targets(STORE, SmallTeacher(), folder / "killed", 150)
    of_sentence = {s: whole.read(i).vectors for i, s in enumerate(whole.sentences)}
    shared = [(i, s) for i, s in enumerate(targets.sentences) if s in of_sentence]
    assert len(shared) > len(targets.sentences) / 2
    for i, sentence in shared:
        np.testing.assert_array_equal(targets.read(i).vectors, of_sentence[sentence])


def test_a_full_disk_leaves_what_is_there(tmp_path, monkeypatch):
    compute_targets(STORE, SmallTeacher(), tmp_path, 60)
    open_ = Path.open

    def full(self, mode="r", *rest, **options):
        if mode == "ab" and self.name == "targets.i8":
            raise OSError(28, "No space left on device")
        return open_(self, mode, *rest, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        with pytest.raises(OSError, match=r"No space left.*max_words"):
            compute_targets(STORE, SmallTeacher(), tmp_path, 200)
    check(STORE, compute_targets(STORE, SmallTeacher(), tmp_path, 60))
    check(STORE, compute_targets(STORE, SmallTeacher(), tmp_path, 200))


def test_another_teacher_is_refused(tmp_path):
    compute_targets(STORE, SmallTeacher("one"), tmp_path, 60)
    with pytest.raises(ValueError, match=r"of one, layers .* but this run has other, layers"):
        compute_targets(STORE, SmallTeacher("other"), tmp_path, 60)


def test_another_text_is_refused(tmp_path):
    compute_targets(STORE, SmallTeacher(), tmp_path, 60)
    other = make_store(random_sentences(60, seed=1))
    with pytest.raises(ValueError, match="for a text of .* but this run has"):
        compute_targets(other, SmallTeacher(), tmp_path, 60)


def test_a_damaged_description(tmp_path):
    compute_targets(STORE, SmallTeacher(), tmp_path, 60)
    (tmp_path / "targets.json").write_text("{")
    with pytest.raises(ValueError, match="is damaged"):
        compute_targets(STORE, SmallTeacher(), tmp_path, 60)


def test_words_that_the_teacher_does_not_know(tmp_path):
    targets = compute_targets(STORE, SmallTeacher(unknown="a"), tmp_path, 10**9)
    for i, sentence in enumerate(targets.sentences):
        _, is_known = targets.read(i)
        assert is_known.tolist() == [word != "a" for word in STORE.sentence(sentence)]


def test_no_sentence_fits(tmp_path):
    store = make_store([["a"] * 9])
    with pytest.raises(ValueError, match="max_words, 5"):
        compute_targets(store, SmallTeacher(), tmp_path, 5)


def test_a_constant_dimension_teaches_nothing(tmp_path):
    class Flat(SmallTeacher):
        def __call__(self, sentences, *, mixed_precision):
            taught = super().__call__(sentences, mixed_precision=mixed_precision)
            taught.vectors[:, 2] = 7
            return taught

    targets = compute_targets(STORE, Flat(), tmp_path, 10**9)
    assert not targets.values[:, 2].any()
    assert targets.values[:, 1].any()


def test_a_file_that_was_lost(tmp_path):
    compute_targets(STORE, SmallTeacher(), tmp_path, 60)
    (tmp_path / "sentences.i64").unlink()
    with pytest.raises(ValueError, match="is damaged: .*sentences.i64"):
        compute_targets(STORE, SmallTeacher(), tmp_path, 60)
