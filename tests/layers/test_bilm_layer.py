import numpy as np
import pytest
import torch
from helpers import WIDTH, save_tiny_bilm
from numpy.testing import assert_allclose
from spacy.tokens import Doc
from spacy.vocab import Vocab

from spacy_elmo import BiLM
from spacy_elmo.layers import bilm_layer
from spacy_elmo.spans import configure_sentences, configure_whole_doc


@pytest.fixture
def source(tmp_path):
    return save_tiny_bilm(tmp_path / "bilm")


def layer(source, frozen=True, get_spans=None, max_batch_tokens=100):
    return bilm_layer(
        source, frozen, "float32", max_batch_tokens, get_spans or configure_sentences()
    )


def doc_of(*words):
    return Doc(Vocab(), words=list(words))


def test_gives_each_sentence_the_layers_of_the_plain_bilm(source):
    docs = [doc_of("He", "sat", ".", "She", "ran", "."), doc_of("Hello")]
    sentences = [["He", "sat", "."], ["She", "ran", "."], ["Hello"]]
    expected = BiLM.load(source).embed(sentences)
    layers = layer(source).predict(docs)
    assert_allclose(layers[0], np.concatenate(expected[:2], axis=1), atol=1e-6)
    assert_allclose(layers[1], expected[2], atol=1e-6)


def test_whitespace_is_not_fed_and_gets_zeros(source):
    layers = layer(source).predict([doc_of("He", " ", "sat", "\n")])[0]
    expected = BiLM.load(source).embed([["He", "sat"]])[0]
    assert_allclose(layers[:, [0, 2]], expected, atol=1e-6)
    assert not layers[:, [1, 3]].any()


def test_docs_without_words(source):
    layers = layer(source).predict([doc_of(), doc_of(" "), doc_of("a")])
    assert [array.shape for array in layers] == [(3, 0, WIDTH), (3, 1, WIDTH), (3, 1, WIDTH)]
    assert layer(source).predict([]) == []


def test_weights_are_read_at_first_use_only(tmp_path):
    model = layer(tmp_path / "bilm")
    copied = model.copy()
    save_tiny_bilm(tmp_path / "bilm")
    assert not model.shims[0].is_loaded
    assert_allclose(model.predict([doc_of("a")])[0], copied.predict([doc_of("a")])[0])


def test_bytes_hold_the_weights_and_never_need_the_source(source, tmp_path):
    model = layer(source)
    before = model.predict([doc_of("He", "sat")])[0]
    restored = layer(tmp_path / "gone").from_bytes(model.to_bytes())
    assert_allclose(restored.predict([doc_of("He", "sat")])[0], before)
    restored.initialize()
    assert_allclose(restored.predict([doc_of("He", "sat")])[0], before)
    assert restored.to_bytes() == model.to_bytes()


def test_an_unused_model_serializes_what_is_at_its_source(source, tmp_path):
    restored = layer(tmp_path / "gone").from_bytes(layer(source).to_bytes())
    expected = BiLM.load(source).embed([["He"]])[0]
    assert_allclose(restored.predict([doc_of("He")])[0], expected, atol=1e-6)


def test_nothing_is_pickled(source, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("weights must not go through pickle")

    monkeypatch.setattr(torch, "save", refuse)
    monkeypatch.setattr(torch, "load", refuse)
    layer(source).from_bytes(layer(source).to_bytes())


def test_damaged_bytes_are_an_error(source):
    model = layer(source)
    data = model.shims[0].to_bytes()
    with pytest.raises(ValueError, match=r"[Ss]erialized"):
        layer(source).shims[0].from_bytes(data.replace(b"__metadata__", b"__metadat___"))


def test_frozen_weights_get_no_gradient(source):
    model = layer(source, frozen=True)
    layers, backprop = model.begin_update([doc_of("He", "sat")])
    backprop([np.ones_like(array) for array in layers])
    assert all(p.grad is None for p in model.shims[0].engine.parameters())


def test_gradient_is_the_directional_derivative(source):
    """Over several sentences, batches, whitespace, and windows of which only a part is kept."""
    docs = [doc_of("He", " ", "sat", ".", "She", "ran"), doc_of(*"abcdefghijkl"), doc_of()]
    get_spans = configure_sentences(max_length=7, context=2)
    model = layer(source, frozen=False, get_spans=get_spans, max_batch_tokens=12)
    rng = np.random.default_rng(0)
    layers, backprop = model.begin_update(docs)
    d_layers = [rng.normal(size=array.shape).astype("f") for array in layers]
    backprop(d_layers)

    parameters = list(model.shims[0].engine.parameters())
    torch.manual_seed(0)
    direction = [torch.randn_like(p) for p in parameters]
    slope = sum(float((p.grad * d).sum()) for p, d in zip(parameters, direction))

    def loss(step):
        with torch.no_grad():
            for p, d in zip(parameters, direction):
                p += step * d
        value = sum(float((a * d).sum(dtype="f8")) for a, d in zip(model.predict(docs), d_layers))
        with torch.no_grad():
            for p, d in zip(parameters, direction):
                p -= step * d
        return value

    assert slope == pytest.approx((loss(2e-4) - loss(-2e-4)) / 4e-4, rel=2e-2)


def test_an_answer_of_a_span_getter_that_does_not_fit_is_an_error(source):
    docs = [doc_of(), doc_of("a"), doc_of("b")]
    for wrong in (
        lambda docs: [[doc[:]] for doc in docs if len(doc)],
        lambda docs: [[doc[:]] for doc in reversed(docs)],
    ):
        with pytest.raises(ValueError, match="span getter"):
            layer(source, get_spans=wrong).predict(docs)


def test_a_long_doc_in_one_piece_and_in_windows(source):
    words = [f"w{i % 50}" for i in range(600)]
    whole = layer(source, get_spans=configure_whole_doc()).predict([doc_of(*words)])[0]
    windows = layer(source).predict([doc_of(*words)])[0]
    assert whole.shape == windows.shape == (3, 600, WIDTH)
    assert_allclose(windows, whole, atol=0.05)  # 32 tokens of context leave little to see
