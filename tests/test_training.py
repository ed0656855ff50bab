"""Updates: what listeners get, and that their gradients arrive in the biLM once and whole."""

import copy
import pickle

import numpy as np
import pytest
import spacy
import torch
from helpers import (
    LISTENER,
    STOCK_LISTENER,
    examples,
    nested,
    own_bilm,
    save_tiny_bilm,
    textcat_pipeline,
    tiny_pipeline,
)
from numpy.testing import assert_allclose
from spacy.training import Example
from thinc.api import Adam

from spacy_elmo.bilm import Engine


@pytest.fixture
def source(tmp_path):
    return save_tiny_bilm(tmp_path / "bilm")


class RecordingOptimizer:
    """Keeps the gradients that it is given and changes nothing."""

    def __init__(self):
        self.gradients = {}
        self.n_calls = 0

    def __call__(self, key, weights, gradient, lr_scale=1.0):
        self.n_calls += 1
        self.gradients[key] = gradient.copy()
        return weights, np.zeros_like(gradient)


def parameters_of(nlp):
    return dict(nlp.get_pipe("elmo").bilm.shims[0].engine.named_parameters())


def bilm_gradients(nlp, optimizer):
    shim_id = nlp.get_pipe("elmo").bilm.shims[0].id
    return {name: optimizer.gradients[shim_id, name] for name in parameters_of(nlp)}


def train_step(nlp, batches, optimizer, exclude=()):
    """One step as ``spacy train`` makes it: all sub-batches, then ``finish_update``."""
    losses = {}
    for batch in batches:
        nlp.update(batch, losses=losses, sgd=False, exclude=exclude)
    for name, pipe in nlp.pipeline:
        if name not in exclude:
            pipe.finish_update(optimizer)
    return losses


def total_loss(nlp, names):
    """Half the squares of what the components' tok2vec gives for the examples."""
    docs = [example.x for example in examples(nlp)]
    docs = list(nlp.pipe([doc.copy() for doc in docs]))
    return sum((doc.user_data[name].astype("f8") ** 2).sum() / 2 for doc in docs for name in names)


def slope_by_differences(nlp, names, direction, step=1e-3):
    losses = []
    for sign in (1, -1):
        with torch.no_grad():
            for name, parameter in parameters_of(nlp).items():
                parameter += sign * step * direction[name]
            losses.append(total_loss(nlp, names))
            for name, parameter in parameters_of(nlp).items():
                parameter -= sign * step * direction[name]
    return (losses[0] - losses[1]) / (2 * step)


@pytest.mark.parametrize(
    "listeners",
    [
        [LISTENER],
        [STOCK_LISTENER],
        [nested(LISTENER), STOCK_LISTENER],
        [
            STOCK_LISTENER,
            nested(STOCK_LISTENER),
            LISTENER,
            nested({**LISTENER, "layer_norm": True}),
        ],
        [{**LISTENER, "layer_norm": True, "combine": "concatenate"}, LISTENER],
    ],
)
@pytest.mark.parametrize("excluded", [False, True], ids=["all", "last excluded"])
def test_gradients_of_all_listeners_arrive_once_and_whole(source, listeners, excluded):
    nlp = tiny_pipeline(source, listeners, frozen=False)
    nlp.initialize(lambda: examples(nlp))
    names = list("abcd"[: len(listeners)])
    exclude = names[1:][-1:] if excluded else []
    optimizer = RecordingOptimizer()
    train_step(nlp, [examples(nlp)], optimizer, exclude=exclude)
    gradients = bilm_gradients(nlp, optimizer)
    torch.manual_seed(0)
    direction = {name: torch.randn_like(p) for name, p in parameters_of(nlp).items()}
    slope = sum(float((gradients[n] * direction[n].numpy()).sum()) for n in gradients)
    learning = [name for name in names if name not in exclude]
    assert slope == pytest.approx(slope_by_differences(nlp, learning, direction), rel=2e-2)


def test_sub_batches_add_up(source):
    """accumulate_gradient: the gradient of two halves is that of the whole."""
    gradients = []
    for size in (2, 1):
        nlp = tiny_pipeline(source, [LISTENER, STOCK_LISTENER], frozen=False)
        nlp.initialize(lambda nlp=nlp: examples(nlp))
        optimizer = RecordingOptimizer()
        batch = examples(nlp)
        train_step(nlp, [batch[i : i + size] for i in range(0, 2, size)], optimizer)
        gradients.append(bilm_gradients(nlp, optimizer))
    for name, gradient in gradients[0].items():
        assert abs(gradient).max() > 0
        assert_allclose(gradients[1][name], gradient, atol=1e-5)


def test_language_update_steps_with_the_gradient_of_its_own_batch(source):
    """``nlp.update`` finishes the component before the listeners have run. Its step waits for
    them, and is made before the next batch is computed."""
    nlp = tiny_pipeline(source, [LISTENER], frozen=False)
    nlp.initialize(lambda: examples(nlp))
    expected = RecordingOptimizer()
    train_step(nlp, [examples(nlp)], expected)

    optimizer = RecordingOptimizer()
    shim_id = nlp.get_pipe("elmo").bilm.shims[0].id
    expected = bilm_gradients(nlp, expected)
    nlp.update(examples(nlp), sgd=optimizer)
    assert not any(key[0] == shim_id for key in optimizer.gradients)
    nlp.update(examples(nlp, ["Something else ."]), sgd=optimizer)
    for name, gradient in expected.items():
        assert_allclose(optimizer.gradients[shim_id, name], gradient, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("listener", [LISTENER, nested(LISTENER), STOCK_LISTENER])
def test_fine_tuning_learns(source, listener):
    nlp = tiny_pipeline(source, [listener], frozen=False)
    sgd = nlp.initialize(lambda: examples(nlp))
    sgd.learn_rate = 0.01
    before = {name: p.detach().clone() for name, p in parameters_of(nlp).items()}
    first = total_loss(nlp, "a")
    for _ in range(30):
        nlp.update(examples(nlp), sgd=sgd)
    assert total_loss(nlp, "a") < 0.9 * first
    assert all((before[name] != p).any() for name, p in parameters_of(nlp).items())


def test_frozen_bilm_stays_and_mixes_learn(source):
    nlp = tiny_pipeline(source, [LISTENER, STOCK_LISTENER])
    sgd = nlp.initialize(lambda: examples(nlp))
    before = {name: p.detach().clone() for name, p in parameters_of(nlp).items()}
    elmo = nlp.get_pipe("elmo")
    own = nlp.get_pipe("a").model.layers[0]
    for _ in range(5):
        nlp.update(examples(nlp), sgd=sgd)
    assert all((before[name] == p).all() for name, p in parameters_of(nlp).items())
    assert own.get_param("gamma") < 0.999 and elmo.mix.get_param("gamma") < 0.999


@pytest.mark.parametrize("own_bilm", [False, True], ids=["elmo", "Tok2VecElmo"])
def test_training_and_evaluation_compute_each_sentence_of_a_frozen_bilm_once(
    source, monkeypatch, own_bilm
):
    if own_bilm:
        nlp = spacy.blank("en")
        spans = {"@span_getters": "spacy-elmo.sentences.v1"}
        tok2vec = {"@architectures": "spacy-elmo.Tok2VecElmo.v1", "source": source}
        nlp.add_pipe("half_squares", config={"tok2vec": {**tok2vec, "get_spans": spans}})
    else:
        nlp = tiny_pipeline(source, [LISTENER, STOCK_LISTENER])
    sgd = nlp.initialize(lambda: examples(nlp))
    computed = []
    forward = Engine.forward

    def record(engine, sentences, **kwargs):
        computed.extend(sentences)
        return forward(engine, sentences, **kwargs)

    monkeypatch.setattr(Engine, "forward", record)
    for _ in range(3):
        nlp.update(examples(nlp), sgd=sgd)
        nlp.evaluate(examples(nlp, ["Money !", "She ran ."]))
    train = [["He", "sat", "on", "the", "bank", "."], ["Money", "!"], ["In", "the", "bank", "."]]
    assert computed == [*train, ["She", "ran", "."]]


def test_own_mix_learns_from_stock_listeners_only(source):
    nlp = tiny_pipeline(source, [LISTENER], frozen=False)
    sgd = nlp.initialize(lambda: examples(nlp))
    for _ in range(3):
        nlp.update(examples(nlp), sgd=sgd)
    assert nlp.get_pipe("elmo").mix.get_param("gamma") == 1


def test_loss_is_the_sum_of_squares_of_the_gradients_as_for_tok2vec(source):
    nlp = tiny_pipeline(source, [STOCK_LISTENER, STOCK_LISTENER])
    nlp.initialize(lambda: examples(nlp))
    losses = nlp.update(examples(nlp), sgd=False)
    docs = [nlp(example.x.copy()) for example in examples(nlp)]
    # The gradient of half the squares is the vectors themselves; there are two listeners.
    expected = 2 * sum(float((doc.tensor**2).sum()) for doc in docs)
    assert losses["elmo"] == pytest.approx(expected, rel=1e-4)


def test_frozen_component_has_to_annotate(source):
    nlp = tiny_pipeline(source, [LISTENER])
    sgd = nlp.initialize(lambda: examples(nlp))
    with pytest.raises(ValueError, match="E203.*elmo"):
        nlp.update(examples(nlp), sgd=sgd, exclude=["elmo"])
    batch = [*examples(nlp), Example(nlp.make_doc(""), nlp.make_doc(""))]
    losses = nlp.update(batch, sgd=sgd, exclude=["elmo"], annotates=["elmo"])
    assert losses["a"] > 0


def test_a_batch_that_nobody_used_is_not_taken_for_another(source):
    nlp = tiny_pipeline(source, [LISTENER])
    sgd = nlp.initialize(lambda: examples(nlp))
    nlp.update(examples(nlp), sgd=sgd, exclude=["a"])
    other = examples(nlp, ["Another text ."])
    with pytest.raises(ValueError, match="other Docs"):
        nlp.update(other, sgd=sgd, exclude=["elmo"], annotates=["elmo"])
    nlp.update(other, sgd=sgd)
    losses = nlp.update(other, sgd=sgd, exclude=["elmo"], annotates=["elmo"])
    assert losses["a"] > 0


@pytest.mark.parametrize("listener", [LISTENER, nested(LISTENER), STOCK_LISTENER])
def test_predicting_leaves_a_batch_that_waits_alone(source, listener):
    """Also between the listener's forward and backward pass."""
    gradients = []
    for predicts in (False, True):
        nlp = tiny_pipeline(source, [listener], frozen=False)
        nlp.initialize(lambda nlp=nlp: examples(nlp))
        elmo, learning = nlp.get_pipe("elmo"), nlp.get_pipe("a")
        other = nlp("Another text .")
        docs = [example.predicted for example in examples(nlp)]
        elmo.update([Example(doc, doc) for doc in docs])
        if predicts:
            learning.predict([other])
            elmo.predict([other])
        vectors, backprop = learning.model.begin_update(docs)
        if predicts:
            learning.predict([other])
        backprop(vectors)
        optimizer = RecordingOptimizer()
        elmo.finish_update(optimizer)
        gradients.append(bilm_gradients(nlp, optimizer))
    for name, gradient in gradients[0].items():
        assert abs(gradient).max() > 0
        assert_allclose(gradients[1][name], gradient, atol=1e-6)


def test_a_listener_is_never_trained_on_other_docs_than_the_component(source):
    nlp = tiny_pipeline(source, [LISTENER], frozen=False)
    nlp.initialize(lambda: examples(nlp))
    batch = examples(nlp)
    for example in batch:
        nlp.get_pipe("elmo")(example.predicted)
    others = examples(nlp, ["She ran ."])
    for wrong in (batch[::-1], batch[:1], [*batch, *others], others):
        nlp.get_pipe("elmo").update(batch)
        with pytest.raises(ValueError, match="same Docs, in the same order"):
            nlp.get_pipe("a").update(wrong)
    assert nlp.get_pipe("a").update(batch)["a"] > 0


def test_a_gradient_that_comes_after_the_step_is_an_error(source):
    """The biLM has to learn from it, or somebody is told."""
    nlp = tiny_pipeline(source, [LISTENER, LISTENER], frozen=False)
    sgd = nlp.initialize(lambda: examples(nlp))
    batch = examples(nlp)
    elmo, first, second = (pipe for _, pipe in nlp.pipeline)
    elmo.update(batch)
    elmo.finish_update(sgd)
    first.update(batch)
    elmo(nlp.make_doc("Another text ."))
    with pytest.raises(ValueError, match="too late"):
        second.update(batch)


def test_a_frozen_component_that_was_never_initialized_works(source):
    """As in ``spacy train`` with frozen_components, which are not initialized."""
    nlp = tiny_pipeline(source, [LISTENER])
    with nlp.select_pipes(disable=["elmo"]):
        sgd = nlp.initialize(lambda: examples(nlp))
    losses = nlp.update(examples(nlp), sgd=sgd, exclude=["elmo"], annotates=["elmo"])
    assert losses["a"] > 0


def test_batches_without_tokens(source):
    nlp = tiny_pipeline(source, [LISTENER, STOCK_LISTENER], frozen=False)
    sgd = nlp.initialize(lambda: examples(nlp))
    empty = [Example(nlp.make_doc(text), nlp.make_doc(text)) for text in ("", " \n", "He . \n\n")]
    first = total_loss(nlp, "ab")
    for _ in range(3):
        losses = nlp.update(empty[:2], sgd=sgd)
        assert losses == {"elmo": 0, "a": 0, "b": 0}
        nlp.update(empty, sgd=sgd)
        nlp.update([*empty, *examples(nlp)], sgd=sgd)
    assert total_loss(nlp, "ab") < first
    assert not nlp(" \n").user_data["a"].any()


def test_update_by_itself_with_an_optimizer(source):
    """``Elmo.update(sgd=…)`` steps as soon as the gradients are there."""
    nlp = tiny_pipeline(source, [LISTENER], frozen=False)
    nlp.initialize(lambda: examples(nlp))
    elmo, listening = nlp.get_pipe("elmo"), nlp.get_pipe("a")
    before = {name: p.detach().clone() for name, p in parameters_of(nlp).items()}
    for _ in range(2):
        batch = examples(nlp)
        elmo.update(batch, sgd=Adam(0.01))
        listening.update(batch)
    assert any((before[name] != p).any() for name, p in parameters_of(nlp).items())


USES = {
    "use": lambda nlp, tmp_path: nlp("He sat .") and nlp.get_pipe("elmo").model,
    "to_disk": lambda nlp, tmp_path: (
        nlp.to_disk(tmp_path / "nlp") or spacy.load(tmp_path / "nlp").get_pipe("elmo").model
    ),
    "to_bytes": lambda nlp, tmp_path: (
        tiny_pipeline("gone").get_pipe("elmo").from_bytes(nlp.get_pipe("elmo").to_bytes()).model
    ),
    "model.to_bytes": lambda nlp, tmp_path: (
        tiny_pipeline("gone")
        .get_pipe("elmo")
        .model.from_bytes(nlp.get_pipe("elmo").model.to_bytes())
    ),
    "pickle": lambda nlp, tmp_path: pickle.loads(pickle.dumps(nlp.get_pipe("elmo"))).model,
    "pickle of the model": lambda nlp, tmp_path: pickle.loads(
        pickle.dumps(nlp.get_pipe("elmo").model)
    ),
    "copy": lambda nlp, tmp_path: nlp.get_pipe("elmo").model.copy(),
    "deepcopy": lambda nlp, tmp_path: copy.deepcopy(nlp.get_pipe("elmo").model),
}


@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("use", USES)
def test_the_last_step_is_made_before_use_copies_and_saving(source, tmp_path, use, frozen):
    results = []
    for steps_at_once in (True, False):
        nlp = tiny_pipeline(source, [STOCK_LISTENER], frozen=frozen)
        nlp.initialize(lambda nlp=nlp: examples(nlp))
        if steps_at_once:
            train_step(nlp, [examples(nlp)], Adam(0.01))
            model = nlp.get_pipe("elmo").model
        else:
            live = parameters_of(nlp)
            before = {name: p.detach().clone() for name, p in live.items()}
            nlp.update(examples(nlp), sgd=Adam(0.01))
            assert all((before[name] == p).all() for name, p in live.items())
            model = USES[use](nlp, tmp_path)
            assert any((before[name] != p).any() for name, p in live.items()) != frozen
        results.append(model.predict([nlp.make_doc("He sat .")])[0])
    assert_allclose(results[1], results[0], atol=1e-6)


def test_the_last_step_is_made_before_listeners_are_replaced(source):
    nlp, train = textcat_pipeline(source, LISTENER, frozen=False)
    shim = nlp.get_pipe("elmo").bilm.shims[0]
    live = dict(shim.engine.named_parameters())
    before = {name: p.detach().clone() for name, p in live.items()}
    nlp.update(train)
    assert all((before[name] == p).all() for name, p in live.items())
    nlp.replace_listeners("elmo", "textcat", ["model.tok2vec"])
    [copied] = [shim for node in nlp.get_pipe("textcat").model.walk() for shim in node.shims]
    assert any((before[name] != p).any() for name, p in live.items())
    for name, parameter in copied.engine.named_parameters():
        assert (parameter == live[name]).all()


@pytest.mark.slow
@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("from_disk", [False, True])
def test_initialize_starts_anew(source, tmp_path, frozen, from_disk):
    """From what was loaded: folds of a cross-validation don't learn from each other."""
    listeners = [LISTENER, STOCK_LISTENER, nested(LISTENER), own_bilm(source, frozen=frozen)]
    nlp = tiny_pipeline(source, listeners, frozen=frozen)
    if from_disk:
        sgd = nlp.initialize(lambda: examples(nlp))
        nlp.update(examples(nlp), sgd=sgd)
        nlp.to_disk(tmp_path / "nlp")
        nlp = spacy.load(tmp_path / "nlp")
    layers = nlp.get_pipe("elmo")(nlp.make_doc("He sat ."))._.elmo.layers
    results = []
    for _ in range(3):
        spacy.util.fix_random_seed(0)
        sgd = nlp.initialize(lambda: examples(nlp))
        doc = nlp("He sat .")
        results.append([doc.tensor, doc._.elmo.layers, *(doc.user_data[name] for name in "abcd")])
        for _ in range(3):
            nlp.update(examples(nlp), sgd=sgd)
        trained = nlp("He sat .")
        assert abs(trained.tensor - doc.tensor).max() > 1e-4
        nlp.update(examples(nlp), sgd=False)  # gradients without a step, and a step that waits
        nlp.update(examples(nlp), sgd=sgd)
    assert_allclose(results[0][0], layers.mean(axis=0), atol=1e-6)
    assert_allclose(results[0][1], layers, atol=0)
    for again in results[1:]:
        for array, first in zip(again, results[0], strict=True):
            assert_allclose(array, first, atol=0)


def test_two_runs_with_one_pipeline_are_alike(source):
    nlp = tiny_pipeline(source, [LISTENER, STOCK_LISTENER], frozen=False)
    runs = []
    for _ in range(2):
        sgd = nlp.initialize(lambda: examples(nlp))
        runs.append([nlp.update(examples(nlp), sgd=sgd) for _ in range(4)])
    for losses, first in zip(runs[1], runs[0], strict=True):
        assert losses == pytest.approx(first, rel=1e-4)


def test_sentences_of_an_annotating_component(source):
    spans = {"@span_getters": "spacy-elmo.sentences.v1", "use_doc_sents": True}
    nlp = tiny_pipeline(source, [LISTENER], get_spans=spans)
    sgd = nlp.initialize(lambda: examples(nlp))
    with pytest.raises(ValueError, match="annotating_components"):
        nlp.update(examples(nlp), sgd=sgd)
    nlp.add_pipe("sentencizer", first=True)
    assert nlp.update(examples(nlp), sgd=sgd, annotates=["sentencizer"])["a"] > 0


def test_a_pipeline_in_training_can_be_pickled(source):
    """Its batch stays behind."""
    nlp = tiny_pipeline(source, [LISTENER, STOCK_LISTENER], frozen=False)
    sgd = nlp.initialize(lambda: examples(nlp))
    nlp.update(examples(nlp), sgd=sgd)
    nlp.update(examples(nlp), sgd=sgd, exclude=["a"])
    elmo, learning = (
        pickle.loads(pickle.dumps(nlp.get_pipe(name).model)) for name in ("elmo", "a")
    )
    component = pickle.loads(pickle.dumps(nlp.get_pipe("elmo")))
    doc = nlp("He sat .")
    assert_allclose(elmo.predict([doc])[0], doc.tensor, atol=1e-6)
    assert_allclose(component(doc.copy()).tensor, doc.tensor, atol=1e-6)
    assert_allclose(learning.predict([doc])[0], doc.user_data["a"], atol=1e-6)
    component.finish_update(sgd)  # nothing waits in it
    assert_allclose(component(doc.copy()).tensor, doc.tensor, atol=1e-2)


def test_copies_of_a_listening_model_do_not_copy_the_bilm(source):
    """``resume_training`` makes them for every component that can rehearse."""
    nlp = tiny_pipeline(source, [LISTENER])
    nlp.initialize(lambda: examples(nlp))
    listener = nlp.get_pipe("a").model
    assert copy.deepcopy(listener)._upstream is listener._upstream


def test_settings_of_the_config_win_over_those_of_saved_weights(source, tmp_path):
    nlp = tiny_pipeline(source, [LISTENER], frozen=True)
    nlp.initialize(lambda: examples(nlp))
    nlp.to_disk(tmp_path / "pipeline")
    overrides = {"components.elmo.model.frozen": False, "components.a.tok2vec.dropout": 0.5}
    loaded = spacy.load(tmp_path / "pipeline", config=overrides)
    before = {name: p.detach().clone() for name, p in parameters_of(loaded).items()}
    train_step(loaded, [examples(loaded)], Adam(0.01))
    assert all((before[name] != p).any() for name, p in parameters_of(loaded).items())
    assert loaded.get_pipe("a").model.layers[0].attrs["settings"].dropout == 0.5
