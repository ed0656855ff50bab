"""``spacy pretrain`` with the biLM's objective: the whole command, and its parts."""

import json
from pathlib import Path

import numpy as np
import pytest
import spacy
import srsly
import torch
from helpers import save_tiny_bilm
from numpy.testing import assert_array_equal
from safetensors.numpy import load
from spacy.cli import app
from spacy.training.initialize import init_nlp
from spacy.training.pretrain import create_pretraining_model, make_update
from spacy.util import load_config_from_str, load_model_from_config, registry
from thinc.api import Adam, fix_random_seed
from typer.testing import CliRunner

from spacy_elmo.formats import SoftmaxWeights, read_source, write_native
from spacy_elmo.pretraining.corpus.vocabulary import Vocabulary
from spacy_elmo.pretraining.evaluation.perplexity import perplexity
from spacy_elmo.pretraining.start import with_softmax

TEXTS = ["The bank of the river.", "He sat on the bank. He sat on it.", "Money is in the bank!"]
WORDS = "</S> <S> <UNK> the bank . He sat on The of river it Money is in !".split()  # noqa: SIM905

CONFIG = """
[paths]
source = null
raw_text = null
vocabulary = null
weights = null

[nlp]
lang = "en"
pipeline = ["elmo"]

[components]

[components.elmo]
factory = "elmo"

[components.elmo.model]
@architectures = "spacy-elmo.BiLM.v1"
source = ${paths.source}
frozen = true

[components.elmo.model.get_spans]
@span_getters = "spacy-elmo.sentences.v1"

[corpora]

[corpora.pretrain]
@readers = "spacy.JsonlCorpus.v1"
path = ${paths.raw_text}

[corpora.train]
@readers = "spacy.JsonlCorpus.v1"
path = ${paths.raw_text}

[corpora.dev]
@readers = "spacy.JsonlCorpus.v1"
path = ${paths.raw_text}

[training]
seed = 0
train_corpus = "corpora.train"
dev_corpus = "corpora.dev"

[pretraining]
max_epochs = 60
component = "elmo"
layer = ""
corpus = "corpora.pretrain"
dropout = 0.0
n_save_every = null
n_save_epoch = 100

[pretraining.batcher]
@batchers = "spacy.batch_by_words.v1"
size = 20
discard_oversize = false
tolerance = 0.2

[pretraining.optimizer]
@optimizers = "Adam.v1"
learn_rate = 0.03

[pretraining.objective]
@architectures = "spacy-elmo.BiLMObjective.v1"
vocabulary = ${paths.vocabulary}
n_samples = 8

[initialize]
init_tok2vec = ${paths.weights}
"""


@pytest.fixture
def source(tmp_path):
    return save_tiny_bilm(tmp_path / "bilm")


@pytest.fixture
def vocabulary(tmp_path):
    Vocabulary(WORDS).write(tmp_path / "words.txt")
    return str(tmp_path / "words.txt")


@pytest.fixture
def config(tmp_path, source, vocabulary):
    raw_text = tmp_path / "raw.jsonl"
    raw_text.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    paths = {"source": source, "raw_text": str(raw_text), "vocabulary": vocabulary}
    overrides = {f"paths.{name}": value for name, value in paths.items()}
    config = load_config_from_str(CONFIG, overrides=overrides)
    return load_model_from_config(config, auto_fill=True).config


def state_of(nlp):
    network = nlp.get_pipe("elmo").bilm.shims[0].engine.network
    return {name: tensor.numpy().copy() for name, tensor in network.state_dict().items()}


def pretraining_model(nlp, component="elmo", layer="", dropout=0.0, **objective):
    architecture = {"@architectures": "spacy-elmo.BiLMObjective.v1", **objective}
    settings = {
        "component": component,
        "layer": layer,
        "dropout": dropout,
        "objective": registry.resolve({"objective": architecture})["objective"],
    }
    fix_random_seed(0)
    return create_pretraining_model(nlp, settings)


def pipeline(source, name="elmo"):
    nlp = spacy.blank("en")
    nlp.add_pipe("elmo", name=name, config={"model": {"source": str(source)}})
    return nlp


def update(model, docs, optimizer):
    return make_update(model, docs, optimizer, model.attrs["loss"])


@pytest.mark.slow
def test_spacy_pretrain_then_train(config, tmp_path):
    """The loss falls, and ``spacy train`` starts from what was learned, frozen as it may be."""
    config.to_disk(tmp_path / "config.cfg")
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["pretrain", str(tmp_path / "config.cfg"), str(out)])
    assert done.exit_code == 0, done.output
    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    first, last = log[0]["epoch_loss"], log[-2]["epoch_loss"]  # the last line ends no epoch
    assert last < 0.7 * first

    config["paths"]["weights"] = str(out / "model-last.bin")
    Path(config["paths"]["vocabulary"]).unlink()  # training needs none
    nlp = init_nlp(config)
    before = read_source(config["paths"]["source"]).state_dict()
    trained = state_of(nlp)
    assert all((trained[name] != before[name].numpy()).any() for name in before)
    # The file is the component's model and nothing else.
    saved = srsly.msgpack_loads((out / "model-last.bin").read_bytes())
    assert [node["name"] for node in saved["nodes"]] == ["mixed_bilm", "bilm", "scalar_mix"]
    weights = load(srsly.msgpack_loads(saved["shims"][1][0])["state"])
    assert set(weights) == set(trained)
    for name, array in weights.items():
        assert_array_equal(trained[name], array)
    assert np.isfinite(nlp("The bank").tensor).all()


@pytest.mark.slow
def test_learned_is_what_is_predicted(source, vocabulary):
    """Perplexity falls, measured with the full softmax by other code."""
    nlp = pipeline(source)
    model = pretraining_model(nlp, vocabulary=vocabulary, n_samples=8)
    docs = [nlp.make_doc(text) for text in TEXTS]
    words = [
        ["The", "bank", "of", "the", "river", "."],
        ["He", "sat", "on", "the", "bank", "."],
        ["He", "sat", "on", "it", "."],
        ["Money", "is", "in", "the", "bank", "!"],
    ]

    def measure():
        network = nlp.get_pipe("elmo").bilm.shims[0].engine.network
        softmax = model.shims[0]._model
        weights = SoftmaxWeights(tuple(WORDS), softmax.weight, softmax.bias)
        return perplexity(with_softmax(network, weights), words, stateful=False)

    before = measure()
    optimizer = Adam(0.03)
    for _ in range(150):
        update(model, docs, optimizer)
    after = measure()
    assert after.forward < before.forward / 3
    assert after.backward < before.backward / 3


def test_loss_is_the_sum_of_all_predictions(source, vocabulary):
    """With all words as samples it is exact: that of a batch is that of its parts."""
    nlp = pipeline(source)
    model = pretraining_model(nlp, vocabulary=vocabulary, n_samples=100)
    docs = [nlp.make_doc(text) for text in TEXTS]

    def loss(docs):
        total, gradient = model.attrs["loss"](model.ops, docs, model.predict(docs))
        assert_array_equal(gradient, [0.5, 0.5])
        return total

    assert loss(docs) == pytest.approx(sum(loss([doc]) for doc in docs), rel=1e-5)
    softmax = model.shims[0]._model
    torch.nn.init.zeros_(softmax.weight)
    n_predictions = 7 + 7 + 6 + 7
    assert loss(docs) == pytest.approx(n_predictions * np.log(len(WORDS)), rel=1e-5)


def test_the_mix_stays_as_it_is(source, vocabulary):
    nlp = pipeline(source)
    model = pretraining_model(nlp, vocabulary=vocabulary)
    update(model, [nlp.make_doc(TEXTS[0])], Adam(0.01))
    assert_array_equal(nlp.get_pipe("elmo").mix.get_param("s"), [0, 0, 0])
    assert nlp.get_pipe("elmo").bilm.shims[0].frozen


def test_vectors_are_those_of_the_new_weights(source, vocabulary):
    """Nothing that was packed or remembered before an update is used after it."""
    nlp = pipeline(source)
    before = nlp(TEXTS[0]).tensor
    model = pretraining_model(nlp, vocabulary=vocabulary)
    update(model, [nlp.make_doc(TEXTS[0])], Adam(0.01))
    after = nlp(TEXTS[0]).tensor
    assert abs(after - before).max() > 1e-4
    fresh = pipeline(source)
    fresh.get_pipe("elmo").model.from_bytes(model.get_ref("tok2vec").to_bytes())
    np.testing.assert_allclose(fresh(TEXTS[0]).tensor, after, atol=1e-6)


def test_resumed_weights_are_trained(source, vocabulary, tmp_path):
    """``spacy pretrain --resume-path`` loads them after the objective is made."""
    nlp = pipeline(source)
    model = pretraining_model(nlp, vocabulary=vocabulary)
    other = pipeline(save_tiny_bilm(tmp_path / "other", seed=1))
    other.get_pipe("elmo").model.initialize()
    model.get_ref("tok2vec").from_bytes(other.get_pipe("elmo").model.to_bytes())
    loaded = state_of(nlp)
    assert_array_equal(
        loaded["forward_lstm.layers.0.bias"], state_of(other)["forward_lstm.layers.0.bias"]
    )
    update(model, [nlp.make_doc(TEXTS[0])], Adam(0.01))
    assert (
        state_of(nlp)["forward_lstm.layers.0.bias"] != loaded["forward_lstm.layers.0.bias"]
    ).any()


def test_dropout_of_the_config(source, vocabulary):
    nlp = pipeline(source)
    docs = [nlp.make_doc(text) for text in TEXTS]
    model = pretraining_model(nlp, vocabulary=vocabulary, dropout=0.5, n_samples=100)
    predicted = model.predict(docs).means
    trained, _ = model.begin_update(docs)
    assert abs(trained.means - predicted).min() > 1e-4
    assert_array_equal(model.predict(docs).means, predicted)


def test_same_seed_same_weights(source, vocabulary):
    states = []
    for _ in range(2):
        nlp = pipeline(source)
        model = pretraining_model(nlp, vocabulary=vocabulary, dropout=0.2, n_samples=4)
        docs = [nlp.make_doc(text) for text in TEXTS]
        optimizer = Adam(0.01)
        for _ in range(3):
            update(model, docs, optimizer)
        states.append(state_of(nlp))
    for name, array in states[0].items():
        assert_array_equal(array, states[1][name])


def test_softmax_of_the_source(source, tmp_path):
    """It is where learning starts if no vocabulary is given."""
    network = read_source(source)
    softmax = SoftmaxWeights(tuple(WORDS), torch.randn(len(WORDS), 4), torch.randn(len(WORDS)))
    write_native(network, tmp_path / "with_softmax", softmax=softmax)
    model = pretraining_model(pipeline(tmp_path / "with_softmax"))
    assert_array_equal(model.shims[0]._model.weight.detach().numpy(), softmax.weight.numpy())
    assert_array_equal(model.shims[0]._model.bias.detach().numpy(), softmax.bias.numpy())


def test_texts_without_words(source, vocabulary):
    nlp = pipeline(source)
    model = pretraining_model(nlp, vocabulary=vocabulary)
    before = state_of(nlp)
    assert update(model, [nlp.make_doc(""), nlp.make_doc("  ")], Adam(0.01)) == 0
    for name, array in state_of(nlp).items():
        assert_array_equal(array, before[name])


def test_long_sentences_are_read_in_windows(source, vocabulary):
    """Each word is predicted once, though windows overlap."""
    nlp = pipeline(source)
    model = pretraining_model(nlp, vocabulary=vocabulary)
    doc = nlp.make_doc("bank " * 600)
    assert 600 < model.predict([doc]).n_predicted < 610


def test_bilm_inside_another_component(source, vocabulary):
    """Of any name, and in a layer: a biLM that only one component uses."""
    nlp = spacy.blank("en")
    tok2vec = {
        "@architectures": "spacy-elmo.Tok2VecElmo.v1",
        "source": source,
        "get_spans": {"@span_getters": "spacy-elmo.sentences.v1"},
    }
    model = {"@architectures": "spacy.Tagger.v2", "nO": None, "tok2vec": tok2vec}
    nlp.add_pipe("tagger", name="tags", config={"model": model})
    objective = pretraining_model(nlp, "tags", "tok2vec", vocabulary=vocabulary)
    assert update(objective, [nlp.make_doc(TEXTS[0])], Adam(0.01)) > 0
    assert objective.get_ref("tok2vec") is nlp.get_pipe("tags").model.get_ref("tok2vec")


def test_bilm_with_a_lexicon(fixtures, vocabulary):
    nlp = pipeline(fixtures / "many_langs_char_word", name="any_name")
    model = pretraining_model(nlp, "any_name", vocabulary=vocabulary)
    docs = [nlp.make_doc(text) for text in TEXTS]
    optimizer = Adam(0.01)
    losses = [update(model, docs, optimizer) for _ in range(10)]
    assert losses[-1] < losses[0]


def test_errors(source, tmp_path):
    nlp = pipeline(source)
    nlp.add_pipe("tok2vec", first=True)
    with pytest.raises(ValueError, match="0 of them.*must be the name of an 'elmo'"):
        pretraining_model(nlp, "tok2vec")
    with pytest.raises(ValueError, match="no softmax with the weights.*spacy elmo vocab"):
        pretraining_model(nlp)
    with pytest.raises(ValueError, match="missing.txt: No such file"):
        pretraining_model(nlp, vocabulary=str(tmp_path / "missing.txt"))
    with pytest.raises(ValueError, match="n_samples = 0"):
        pretraining_model(nlp, n_samples=0)
