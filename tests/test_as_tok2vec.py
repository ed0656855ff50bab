"""What spaCy's own tests ask of its tok2vec, asked of ``elmo`` in its place."""

import numpy as np
import pytest
import spacy
from helpers import (
    LISTENER,
    STOCK_LISTENER,
    WIDTH,
    own_bilm,
    save_tiny_bilm,
    textcat_pipeline,
)
from spacy.kb import InMemoryLookupKB
from spacy.ml.models.multi_task import create_pretrain_characters, create_pretrain_vectors
from spacy.training import Example
from spacy.util import registry
from thinc.api import Adam, Config, fix_random_seed

TAGGED = [("I like green eggs", ["N", "V", "J", "N"]), ("Eat blue ham", ["V", "J", "N"])]


@pytest.fixture
def source(tmp_path):
    return save_tiny_bilm(tmp_path / "bilm")


def tagger_pipeline(source, tok2vec=STOCK_LISTENER, **bilm):
    nlp = spacy.blank("en")
    nlp.add_pipe("elmo", config={"model": {"source": source, **bilm}})
    model = {"@architectures": "spacy.Tagger.v2", "tok2vec": tok2vec}
    nlp.add_pipe("tagger", config={"model": model})
    train = [Example.from_dict(nlp.make_doc(text), {"tags": tags}) for text, tags in TAGGED]
    return nlp, train


def tags_of(nlp, text="Eat blue ham"):
    return [token.tag_ for token in nlp(text)]


@pytest.mark.slow
@pytest.mark.parametrize("listener", [STOCK_LISTENER, LISTENER])
@pytest.mark.parametrize("settings", [{}, {"annotates": ["elmo"]}])
def test_a_pipeline_overfits_and_survives_the_disk(source, tmp_path, listener, settings):
    nlp, train = tagger_pipeline(source, listener, frozen=False)
    nlp.initialize(lambda: train)
    sgd = Adam(0.02)
    for _ in range(150):
        nlp.update(train, sgd=sgd, **settings)
    nlp.to_disk(tmp_path / "nlp")
    for pipeline in (nlp, spacy.load(tmp_path / "nlp")):
        for text, tags in TAGGED:
            assert tags_of(pipeline, text) == tags


@pytest.mark.parametrize("listener", [STOCK_LISTENER, LISTENER])
def test_a_component_that_is_not_updated_has_to_annotate(source, listener):
    nlp, train = tagger_pipeline(source, listener)
    sgd = nlp.initialize(lambda: train)
    with pytest.raises(ValueError, match="E203"):
        nlp.update(train, sgd=sgd, exclude=["elmo"])
    losses = []
    for _ in range(30):
        update = nlp.update(train, sgd=sgd, exclude=["elmo"], annotates=["elmo"])
        losses.append(update["tagger"])
    assert losses[-1] < losses[0]


def test_models_that_are_initialized_by_themselves_can_be_trained(source):
    nlp, _ = tagger_pipeline(source)
    docs = [nlp.make_doc("A random sentence")]
    elmo, tagger = nlp.get_pipe("elmo"), nlp.get_pipe("tagger")
    elmo.model.initialize(X=docs)
    tagger.model.initialize(X=docs, Y=[np.ones((3, 2), "f")])
    elmo.update([Example.from_dict(doc, {}) for doc in docs])
    Y, backprop = tagger.model.begin_update(docs)
    assert backprop(Y) is not None


def test_the_width_is_known_after_initialize_and_after_loading(source, tmp_path):
    nlp, train = tagger_pipeline(source)
    nlp.initialize(lambda: train)
    assert nlp.get_pipe("elmo").model.get_dim("nO") == WIDTH
    nlp.to_disk(tmp_path / "nlp")
    assert spacy.load(tmp_path / "nlp").get_pipe("elmo").model.get_dim("nO") == WIDTH
    fresh = spacy.blank("en").add_pipe("elmo", config={"model": {"source": source}})
    fresh(nlp.make_doc("Hello"))
    assert fresh.model.get_dim("nO") == WIDTH


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["vectors", "characters"])
def test_spacys_objectives_pretrain_the_model(source, kind):
    fix_random_seed(0)  # some of the words are masked, at random
    nlp, train = tagger_pipeline(source, frozen=False)
    nlp.initialize(lambda: train)
    docs = [example.x for example in train]
    rng = np.random.default_rng(0)
    for doc in docs:
        for token in doc:
            nlp.vocab.set_vector(token.text, rng.normal(size=5).astype("f"))
    objectives = {
        "vectors": create_pretrain_vectors(2, 10, "cosine"),
        "characters": create_pretrain_characters(2, 10, 3),
    }
    tok2vec = nlp.get_pipe("elmo").model
    model = objectives[kind](nlp.vocab, tok2vec)
    model.initialize(X=docs)
    sgd = Adam(0.003)
    before = tok2vec.predict(docs)[0].copy()
    losses = []
    for _ in range(150):
        predictions, backprop = model.begin_update(docs)
        loss, gradient = model.attrs["loss"](model.ops, docs, predictions)
        backprop(gradient)
        model.finish_update(sgd)
        losses.append(float(loss))
    assert np.mean(losses[-20:]) < np.mean(losses[:20])
    assert abs(tok2vec.predict(docs)[0] - before).max() > 1e-3


@pytest.mark.parametrize("listener", [STOCK_LISTENER, LISTENER])
def test_replaced_listeners_train_on(source, listener):
    nlp, train = tagger_pipeline(source, listener)
    nlp.initialize(lambda: train)
    for wrong in (
        ("invalid", "tagger", ["model.tok2vec"]),
        ("elmo", "parser", ["model.tok2vec"]),
        ("elmo", "tagger", ["model.yolo"]),
        ("elmo", "tagger", ["model.tok2vec", "model.yolo"]),
    ):
        with pytest.raises(ValueError, match="E88"):
            nlp.replace_listeners(*wrong)
    nlp.replace_listeners("elmo", "tagger", ["model.tok2vec"])
    sgd = nlp.initialize(lambda: train)
    for _ in range(2):
        losses = nlp.update(train, sgd=sgd)
        assert losses["elmo"] == 0 and losses["tagger"] > 0


def test_the_most_recently_changed_pipeline_has_the_listeners(source):
    nlp, _ = tagger_pipeline(source)
    other = spacy.blank("en")
    elmo = other.add_pipe("elmo", source=nlp)
    assert elmo.listening_components == []
    other.add_pipe("tagger", name="tagger2", source=nlp)
    assert elmo.listening_components == ["tagger2"]
    other.remove_pipe("tagger2")
    assert elmo.listening_components == []
    nlp.add_pipe("sentencizer")
    assert nlp.get_pipe("elmo").listening_components == ["tagger"]


@pytest.mark.parametrize("architecture", ["spacy.TextCatEnsemble.v2", "spacy.TextCatReduce.v1"])
@pytest.mark.parametrize("listener", [STOCK_LISTENER, LISTENER])
def test_text_classifiers_take_a_width_that_is_known_late(source, listener, architecture):
    if architecture == "spacy.TextCatReduce.v1":
        nlp, train = textcat_pipeline(source, listener)
    else:
        nlp = spacy.blank("en")
        nlp.add_pipe("elmo", config={"model": {"source": source}})
        bow = {"@architectures": "spacy.TextCatBOW.v3", "exclusive_classes": True, "length": 64}
        bow = {**bow, "ngram_size": 1, "no_output_layer": False}
        model = {"@architectures": architecture, "tok2vec": listener, "linear_model": bow}
        nlp.add_pipe("textcat", config={"model": model})
        train = [
            Example.from_dict(nlp.make_doc(text), {"cats": {"A": i, "B": 1 - i}})
            for i, (text, _) in enumerate(TAGGED)
        ]
        nlp.initialize(lambda: train)
    sgd = Adam(0.02)
    losses = [nlp.update(train, sgd=sgd)["textcat"] for _ in range(20)]
    assert losses[-1] < losses[0]


def linker_pipeline(tok2vec, source, kb_width):
    """A linker that can tell two banks apart, and its examples."""
    nlp = spacy.blank("en")
    if tok2vec is STOCK_LISTENER:
        nlp.add_pipe("elmo", config={"model": {"source": source, "frozen": False}})
    nlp.add_pipe("sentencizer")
    nlp.add_pipe("entity_ruler")
    model = {"@architectures": "spacy.EntityLinker.v2", "tok2vec": tok2vec}
    linker = nlp.add_pipe("entity_linker", config={"model": model, "incl_prior": False})

    def make_kb(vocab):
        kb = InMemoryLookupKB(vocab, kb_width)
        for name, sign in (("river", 1), ("money", -1)):
            kb.add_entity(name, 1, [sign, *[0.1] * (kb_width - 1)])
        kb.add_alias("bank", ["river", "money"], [0.5, 0.5])
        return kb

    linker.set_kb(make_kb)
    train = []
    for text, name in (("He sat on the bank .", "river"), ("The bank lends money .", "money")):
        doc = nlp.make_doc(text)
        start = text.index("bank")
        annotation = {
            "entities": [(start, start + 4, "ORG")],
            "links": {(start, start + 4): {name: 1.0}},
            "sent_starts": [1] + [0] * (len(doc) - 1),
        }
        train.append(Example.from_dict(doc, annotation))
    return nlp, train


@pytest.mark.slow
@pytest.mark.parametrize("kb_width", [3, WIDTH])
@pytest.mark.parametrize("own", [True, False], ids=["Tok2VecElmo", "listener"])
def test_an_entity_linker_learns_with_any_width_of_its_knowledge_base(source, own, kb_width):
    tok2vec = own_bilm(source, width=WIDTH, frozen=False) if own else STOCK_LISTENER
    nlp, train = linker_pipeline(tok2vec, source, kb_width)
    nlp.initialize(lambda: train)
    nlp.get_pipe("entity_ruler").add_patterns([{"label": "ORG", "pattern": "bank"}])
    sgd = Adam(0.02)
    annotating = ["sentencizer", "entity_ruler"]
    losses = []
    for _ in range(30):
        losses.append(nlp.update(train, sgd=sgd, annotates=annotating)["entity_linker"])
    assert losses[-1] < 0.5 * losses[0]
    linked = [nlp(example.text).ents[0].kb_id_ for example in train]
    assert linked == ["river", "money"]


def test_a_replaced_listener_of_an_entity_linker_starts_anew_from_its_config(source):
    nlp, train = linker_pipeline(STOCK_LISTENER, source, 3)
    nlp.initialize(lambda: train)
    nlp.replace_listeners("elmo", "entity_linker", ["model.tok2vec"])
    block = nlp.config["components"]["entity_linker"]["model"]["tok2vec"]
    fresh, train = linker_pipeline(Config(block), source, 3)
    fresh.initialize(lambda: train)
    assert fresh.get_pipe("entity_linker").model.get_dim("nO") == 3


def test_a_width_that_is_not_the_bilms_is_an_error(source):
    model = registry.resolve({"tok2vec": own_bilm(source, width=WIDTH + 1)})["tok2vec"]
    with pytest.raises(ValueError, match=rf"{WIDTH}.*width = {WIDTH + 1}"):
        model.initialize()
    with pytest.raises(ValueError, match="width = 0"):
        registry.resolve({"tok2vec": own_bilm(source, width=0)})
