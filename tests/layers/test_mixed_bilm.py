import numpy as np
import pytest
from helpers import (
    LISTENER,
    MIX,
    MIX_FACTORS,
    STOCK_LISTENER,
    WIDTH,
    examples,
    save_tiny_bilm,
    tiny_pipeline,
)
from numpy.testing import assert_allclose
from spacy.tokens import Doc
from spacy.vocab import Vocab

from spacy_elmo import BiLM
from spacy_elmo.architectures import replace_listener
from spacy_elmo.layers import bilm_layer, mixed_bilm, scalar_mix
from spacy_elmo.spans import configure_sentences

WORDS = ["He", "sat", "."]
TEXT = " ".join(WORDS)


@pytest.fixture
def source(tmp_path):
    """A biLM that comes with a scalar mix, as TF-Hub's modules do."""
    return save_tiny_bilm(tmp_path / "bilm", scalar_mix=MIX)


def layer(source, **mix):
    return mixed_bilm(
        bilm_layer(source, True, "float32", 100, configure_sentences(), "float32"),
        scalar_mix(**mix),
    )


def doc_of(*words):
    return Doc(Vocab(), words=list(words))


def by_the_mix(source):
    return np.tensordot(MIX_FACTORS, BiLM.load(source).embed([WORDS])[0], axes=1)


@pytest.mark.parametrize("initialize", [False, True])
def test_the_mix_starts_from_what_came_with_the_weights(source, initialize):
    model = layer(source)
    if initialize:
        model.initialize(X=[doc_of(*WORDS)])
        assert model.get_dim("nO") == WIDTH
    assert_allclose(model.predict([doc_of(*WORDS)])[0], by_the_mix(source), atol=1e-6)
    assert_allclose(model.copy().predict([doc_of(*WORDS)])[0], by_the_mix(source), atol=1e-6)


def test_without_one_it_starts_from_the_mean(tmp_path):
    source = save_tiny_bilm(tmp_path)
    expected = BiLM.load(source).embed([WORDS])[0].mean(axis=0)
    assert_allclose(layer(source).predict([doc_of(*WORDS)])[0], expected, atol=1e-6)


def test_fixed_weights_stay(source):
    expected = BiLM.load(source).embed([WORDS])[0][1]
    model = layer(source, weights=[0, 1, 0])
    assert_allclose(model.predict([doc_of(*WORDS)])[0], expected, atol=1e-6)


def test_gradients_pass_both_layers(source):
    model = mixed_bilm(
        bilm_layer(source, False, "float32", 100, configure_sentences(), "float32"), scalar_mix()
    )
    mixed, backprop = model.begin_update([doc_of(*WORDS)])
    assert backprop([np.ones_like(mixed[0])]) == []
    assert model.layers[1].get_grad("s").any()
    assert any(p.grad.any() for p in model.layers[0].shims[0].engine.parameters())


def test_what_was_learned_is_kept_until_it_is_initialized(source):
    model = layer(source)
    model.initialize()
    model.layers[1].set_param("s", np.zeros(3, "f"))
    model.layers[1].set_param("gamma", np.ones(1, "f"))
    mean = BiLM.load(source).embed([WORDS])[0].mean(axis=0)
    for trained in (model, layer("nowhere").from_bytes(model.to_bytes())):
        assert_allclose(trained.predict([doc_of(*WORDS)])[0], mean, atol=1e-6)
        trained.initialize()
        assert_allclose(trained.predict([doc_of(*WORDS)])[0], by_the_mix(source), atol=1e-6)


def test_bytes_of_an_unused_model_hold_the_start(source):
    restored = layer("nowhere").from_bytes(layer(source).to_bytes())
    assert_allclose(restored.predict([doc_of(*WORDS)])[0], by_the_mix(source), atol=1e-6)


@pytest.mark.parametrize("initialize", [False, True])
def test_component_and_listeners_start_from_it(source, initialize):
    tok2vec = {
        "@architectures": "spacy-elmo.Tok2VecElmo.v1",
        "source": source,
        "get_spans": {"@span_getters": "spacy-elmo.sentences.v1"},
    }
    nlp = tiny_pipeline(source, [LISTENER, STOCK_LISTENER, tok2vec])
    if initialize:
        nlp.initialize(lambda: examples(nlp))
    doc = nlp(TEXT)
    for mixed in (doc.tensor, doc.user_data["a"], doc.user_data["b"], doc.user_data["c"]):
        assert_allclose(mixed, by_the_mix(source), atol=1e-6)


def test_a_pipeline_that_was_saved_before_use_starts_from_it(source, tmp_path):
    nlp = tiny_pipeline(source, [LISTENER])
    expected = by_the_mix(source)
    data = nlp.to_bytes()
    restored = tiny_pipeline("nowhere", [LISTENER]).from_bytes(data)
    doc = restored(TEXT)
    assert_allclose(doc.tensor, expected, atol=1e-6)
    assert_allclose(doc.user_data["a"], expected, atol=1e-6)


def test_what_replaces_a_listener_starts_from_it(source):
    nlp = tiny_pipeline(source, [LISTENER, STOCK_LISTENER])
    elmo = nlp.get_pipe("elmo")
    for name in ("a", "b"):
        model = replace_listener(elmo.model.copy(), nlp.get_pipe(name).model, elmo)
        assert_allclose(model.predict([doc_of(*WORDS)])[0], by_the_mix(source), atol=1e-6)
