import numpy as np
import pytest
import torch
from helpers import WIDTH, save_tiny_bilm
from numpy.testing import assert_allclose
from spacy.tokens import Doc
from spacy.vocab import Vocab
from thinc.api import SGD, Adam

from spacy_elmo import BiLM
from spacy_elmo.bilm import Engine
from spacy_elmo.layers import bilm_layer
from spacy_elmo.spans import configure_sentences, configure_whole_doc


@pytest.fixture
def source(tmp_path):
    return save_tiny_bilm(tmp_path / "bilm")


def layer(
    source,
    frozen=True,
    get_spans=None,
    max_batch_tokens=100,
    cache_layers="float32",
    precision="float32",
    lr_scale=1.0,
):
    get_spans = get_spans or configure_sentences()
    return bilm_layer(
        source,
        frozen,
        precision,
        max_batch_tokens,
        get_spans,
        cache_layers,
        lr_scale=lr_scale,
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


def test_gradient_is_the_directional_derivative(tmp_path):
    """Over several sentences, batches, whitespace, and windows of which only a part is kept."""
    docs = [doc_of("He", " ", "sat", ".", "She", "ran"), doc_of(*"abcdefghijkl"), doc_of()]
    get_spans = configure_sentences(max_length=7, context=2)
    source = save_tiny_bilm(tmp_path / "bilm", seed=3)  # far from kinks of relu and max
    model = layer(source, frozen=False, get_spans=get_spans, max_batch_tokens=12)
    rng = np.random.default_rng(0)
    layers, backprop = model.begin_update(docs)
    d_layers = [rng.normal(size=array.shape).astype("f") for array in layers]
    backprop(d_layers)

    parameters = list(model.shims[0].engine.parameters())
    torch.manual_seed(0)
    direction = [torch.randn_like(p) for p in parameters]
    slope = sum(float((p.grad * d).sum()) for p, d in zip(parameters, direction, strict=True))

    def loss(step):
        with torch.no_grad():
            for p, d in zip(parameters, direction, strict=True):
                p += step * d
        value = sum(
            float((a * d).sum(dtype="f8"))
            for a, d in zip(model.predict(docs), d_layers, strict=True)
        )
        with torch.no_grad():
            for p, d in zip(parameters, direction, strict=True):
                p -= step * d
        return value

    assert slope == pytest.approx((loss(5e-5) - loss(-5e-5)) / 1e-4, rel=3e-2)


def test_the_bilms_steps_are_a_share_of_the_optimizers(source):
    """Of plain gradient descent, whose steps are in proportion to the rate."""

    def step(lr_scale):
        model = layer(source, frozen=False, lr_scale=lr_scale)
        layers, backprop = model.begin_update([doc_of("He", "sat")])
        before = [p.detach().clone() for p in model.shims[0].engine.parameters()]
        backprop([np.ones_like(array) for array in layers])
        model.finish_update(SGD(0.01, L2=0, grad_clip=0))
        after = [p.detach() for p in model.shims[0].engine.parameters()]
        return [new - old for new, old in zip(after, before, strict=True)]

    for whole, tenth in zip(step(1.0), step(0.1), strict=True):
        assert_allclose(tenth, whole / 10, atol=1e-6)
    assert max(float(change.abs().max()) for change in step(0.1)) > 1e-4
    assert not any(change.any() for change in step(0.0))


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


@pytest.fixture
def computed(monkeypatch, tmp_path):
    """Every sentence that an engine computes, in order. The cache's folder is empty."""
    sentences = []
    forward = Engine.forward

    def record(self, batch, *args, **kwargs):
        sentences.extend(" ".join(words) for words in batch)
        return forward(self, batch, *args, **kwargs)

    monkeypatch.setattr(Engine, "forward", record)
    monkeypatch.setenv("SPACY_ELMO_CACHE", str(tmp_path / "cache"))
    return sentences


def test_training_computes_each_sentence_of_a_frozen_bilm_once(source, computed):
    train = [doc_of("He", "sat", ".", " ", "He", "ran", "."), doc_of("He", "sat", "."), doc_of()]
    expected = layer(source).predict(train)
    del computed[:]
    model = layer(source)
    for _ in range(3):
        layers, _ = model.begin_update(train)
        for array, other in zip(layers, expected, strict=True):
            assert_allclose(array, other, atol=1e-6)
            array.fill(7)  # what a caller does to its arrays stays its own
        model.predict([doc_of("Dev", "."), doc_of("He", "ran", ".")])
    assert computed == ["He sat .", "He ran .", "Dev ."]


def test_windows_are_kept_with_the_words_that_they_show(source, computed):
    doc = doc_of(*"abcdefghijkl")
    model = layer(source, get_spans=configure_sentences(max_length=7, context=2))
    first, second = (model.begin_update([doc])[0][0] for _ in range(2))
    assert_allclose(second, first)
    assert computed == ["a b c d e f g", "d e f g h i j", "g h i j k l"]


def test_use_without_training_keeps_nothing(source, computed):
    model = layer(source)
    for _ in range(2):
        model.predict([doc_of("He", "sat")])
    model.begin_update([doc_of("On")])  # the cache is on now
    for used in (layer(source).from_bytes(model.to_bytes()), model.copy()):
        for _ in range(2):
            used.predict([doc_of("On")])
    assert computed == ["He sat"] * 2 + ["On"] * 5


@pytest.mark.parametrize("cache_layers", ["none", "float32"])
def test_no_cache_where_it_is_turned_off_or_the_bilm_learns(source, computed, cache_layers):
    model = layer(source, frozen=cache_layers == "none", cache_layers=cache_layers)
    for _ in range(2):
        model.begin_update([doc_of("He")])
    assert computed == ["He", "He"]


def test_half_precision_rounds_alike_in_every_epoch(source, computed):
    model = layer(source, cache_layers="float16")
    exact = layer(source).predict([doc_of("He", "sat")])[0]
    for _ in range(2):
        [array], _ = model.begin_update([doc_of("He", "sat")])
        assert array.dtype == "float32"
        assert (array == exact.astype("float16")).all()


def change_in_place(model, other):
    with torch.no_grad():
        for weights, new in zip(
            *(m.shims[0].engine.parameters() for m in (model, other)), strict=True
        ):
            weights.copy_(new)


def load_bytes(model, other):
    model.from_bytes(other.to_bytes())


def fine_tune(model, other):
    model.shims[0].frozen = False
    layers, backprop = model.begin_update([doc_of("He")])
    backprop([np.ones_like(array) for array in layers])
    model.finish_update(Adam(0.1))
    model.shims[0].frozen = True
    other.from_bytes(model.to_bytes())


@pytest.mark.parametrize("change", [change_in_place, load_bytes, fine_tune])
def test_other_weights_are_never_mixed_up(source, computed, tmp_path, monkeypatch, change):
    monkeypatch.setenv("SPACY_ELMO_CACHE_MEMORY", "0")  # all in the folder that they share
    model, other = layer(source), layer(save_tiny_bilm(tmp_path / "other", seed=1))
    docs = [doc_of("He", "sat")]
    before = model.begin_update(docs)[0][0]
    change(model, other)
    expected = other.predict(docs)[0]
    assert abs(expected - before).max() > 1e-3
    for _ in range(2):
        assert_allclose(model.begin_update(docs)[0][0], expected, atol=1e-6)
        assert_allclose(model.predict(docs)[0], expected, atol=1e-6)


def test_a_second_run_reads_the_file_of_the_first(source, computed, tmp_path, monkeypatch):
    monkeypatch.setenv("SPACY_ELMO_CACHE_MEMORY", "0")
    docs = [doc_of("He", "sat"), doc_of("On")]
    first, _ = layer(source).begin_update(docs)
    second, _ = layer(source).begin_update(docs)
    assert (first[0] == second[0]).all() and computed == ["He sat", "On"]
    # What is only predicted is not written.
    model = layer(source)
    model.begin_update(docs)
    for _ in range(2):
        model.predict([doc_of("Dev")])
    assert computed == ["He sat", "On", "Dev", "Dev"]


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
def test_a_frozen_bilm_computes_in_its_precision(source, precision):
    """In training as in use, after a copy and after its bytes have been read."""
    docs = [doc_of("He", "sat", "on", "the", "bank")]
    sentences = [["He", "sat", "on", "the", "bank"]]
    [expected] = BiLM.load(source, precision=precision).embed(sentences)
    [exact] = BiLM.load(source).embed(sentences)
    assert (precision == "float32") == (abs(expected - exact).max() < 1e-5)
    model = layer(source, precision=precision)
    assert_allclose(model.predict(docs)[0], expected, atol=1e-6)
    assert_allclose(model.begin_update(docs)[0][0], expected, atol=1e-6)
    assert_allclose(model.copy().predict(docs)[0], expected, atol=1e-6)
    restored = layer("gone", precision=precision).from_bytes(model.to_bytes())
    assert_allclose(restored.predict(docs)[0], expected, atol=1e-6)


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_a_bilm_that_learns_is_exact_in_training(source, precision):
    docs = [doc_of("He", "sat", "on", "the", "bank")]
    model = layer(source, frozen=False, precision=precision)
    exact = layer(source, frozen=False)
    for _ in range(2):
        (layers, backprop), (expected, exact_backprop) = (
            m.begin_update(docs) for m in (model, exact)
        )
        assert_allclose(layers[0], expected[0], atol=1e-5)
        assert abs(model.predict(docs)[0] - expected[0]).max() > 1e-4
        for m, back in ((model, backprop), (exact, exact_backprop)):
            back([np.ones_like(array) for array in layers])
            m.finish_update(Adam(0.01))
    changed = BiLM(model.shims[0].engine.network, precision).embed([[t.text for t in docs[0]]])
    assert_allclose(model.predict(docs)[0], changed[0], atol=1e-6)


def test_precisions_are_never_mixed_up(source, computed, monkeypatch):
    """In the folder that they share."""
    monkeypatch.setenv("SPACY_ELMO_CACHE_MEMORY", "0")
    docs = [doc_of("He", "sat")]
    for precision in ("float32", "bfloat16", "int8"):
        expected = BiLM.load(source, precision=precision).embed([["He", "sat"]])[0]
        for _ in range(2):
            model = layer(source, precision=precision)
            assert_allclose(model.begin_update(docs)[0][0], expected, atol=1e-6)


def test_in_inference_mode(source):
    docs = [doc_of("He", "sat")]
    expected = layer(source).predict(docs)[0]
    model = layer(source)
    with torch.inference_mode():
        assert_allclose(model.predict(docs)[0], expected, atol=1e-6)
    assert_allclose(model.predict([doc_of("He", "sat"), doc_of("On")])[0], expected, atol=1e-6)
