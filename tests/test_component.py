import os
import shutil
import subprocess
import sys
import warnings

import numpy as np
import pytest
import spacy
import torch
from helpers import (
    LISTENER,
    STOCK_LISTENER,
    WIDTH,
    examples,
    nested,
    save_tiny_bilm,
    textcat_pipeline,
    tiny_pipeline,
)
from numpy.testing import assert_allclose
from spacy.tokens import Doc

from spacy_elmo import BiLM, component

TEXTS = ["He sat on the bank .", "", "The bank lends money . It is rich .", "Hello", " ", "a b c d"]


@pytest.fixture
def source(tmp_path):
    return save_tiny_bilm(tmp_path / "bilm")


def test_works_at_once_with_the_bundled_bilm():
    nlp = spacy.blank("en")
    nlp.add_pipe("elmo")
    doc = nlp("He sat on the bank of the river.")
    words = [token.text for token in doc]
    assert_allclose(doc._.elmo.layers, BiLM.load("en_small").embed([words])[0], atol=1e-5)
    assert doc.tensor.shape == (9, 256)


def test_a_doc_is_the_same_alone_and_in_a_stream(source, monkeypatch):
    monkeypatch.setattr(component, "PIPE_TOKENS", 8)
    nlp = tiny_pipeline(source)
    for batch_size in (1, 2, 100):
        for doc, text in zip(nlp.pipe(TEXTS, batch_size=batch_size), TEXTS, strict=True):
            assert doc.text == text
            assert_allclose(doc._.elmo.layers, nlp(text)._.elmo.layers, atol=1e-5)


def test_stream_is_computed_by_tokens_not_by_docs(source, monkeypatch):
    monkeypatch.setattr(component, "PIPE_TOKENS", 10)
    nlp = tiny_pipeline(source)
    sizes = []
    predict = component.Elmo.predict

    def spy(self, docs):
        sizes.append([len(doc) for doc in docs])
        return predict(self, docs)

    monkeypatch.setattr(component.Elmo, "predict", spy)
    docs = [Doc(nlp.vocab, words=["a"] * n) for n in (4, 4, 4, 25, 1, 1)]
    assert len(list(nlp.get_pipe("elmo").pipe(docs, batch_size=100))) == 6
    assert sizes == [[4, 4], [4], [25], [1, 1]]


def test_one_bad_doc_goes_to_the_error_handler(source, monkeypatch):
    nlp = tiny_pipeline(source)
    failed = []
    nlp.set_error_handler(lambda name, proc, docs, error: failed.extend(docs))
    monkeypatch.setattr(component, "PIPE_TOKENS", 1)
    set_annotations = component.Elmo.set_annotations

    def refuse(self, docs, layers):
        if docs[0].text == "Hello":
            raise RuntimeError("no")
        set_annotations(self, docs, layers)

    monkeypatch.setattr(component.Elmo, "set_annotations", refuse)
    done = [doc.text for doc in nlp.pipe(TEXTS)]
    assert done == [text for text in TEXTS if text != "Hello"]
    assert [doc.text for doc in failed] == ["Hello"]


@pytest.mark.parametrize(
    "text", ["\x00", "a\x00b", "😀 👩‍👩‍👧", "שלום עולם. مرحبا", "\u200b", "e\u0301"]
)
def test_unusual_characters(source, text):
    doc = tiny_pipeline(source)(text)
    assert doc._.elmo.layers.shape == (3, len(doc), WIDTH)
    assert np.isfinite(doc._.elmo.layers).all()


@pytest.mark.slow
def test_very_long_token_and_very_long_doc(source):
    nlp = tiny_pipeline(source)
    doc = Doc(nlp.vocab, words=["x" * 10_000, *("word" for _ in range(100_000))])
    nlp.get_pipe("elmo")(doc)
    assert doc._.elmo.layers.shape == (3, 100_001, WIDTH)
    assert np.isfinite(doc._.elmo.layers).all()


def test_an_unknown_source_is_an_error_when_it_is_needed():
    nlp = tiny_pipeline("no_such_bilm")
    with pytest.raises(ValueError, match=r"no_such_bilm.*en_small"):
        nlp("Hello")


def test_a_bundled_bilm_of_another_language_warns_when_it_is_read(tmp_path):
    nlp = spacy.blank("da")
    nlp.add_pipe("elmo")
    with pytest.warns(UserWarning, match=r"'en'.*'da'.*'many_langs/da'") as warned:
        assert [len(nlp(text)) for text in ("Hej.", "Hej igen.")] == [2, 3]
    assert len(warned) == 1
    nlp.to_disk(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        spacy.load(tmp_path)("Hej.")


@pytest.mark.parametrize(("lang", "bundled"), [("en", True), ("xx", True), ("da", False)])
def test_a_bilm_that_may_fit_the_language_does_not_warn(source, lang, bundled):
    nlp = spacy.blank(lang)
    nlp.add_pipe("elmo", config={} if bundled else {"model": {"source": source}})
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        nlp("Hi.")


def test_unknown_setting_is_an_error():
    with pytest.raises(ValueError, match="store_layers"):
        spacy.blank("en").add_pipe("elmo", config={"store_layers": "float8"})


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*W109")
def test_two_processes_after_the_parent_has_computed_with_two_threads():
    """In a process of its own, because a deadlock would stop all tests."""
    code = """
import spacy, torch
torch.set_num_threads(2)
nlp = spacy.blank("en")
nlp.add_pipe("elmo")
texts = ["He sat on the bank of the river."] * 40
here = nlp(texts[0]).tensor
list(nlp.pipe(texts))
there = [doc._.elmo.mix for doc in nlp.pipe(texts, n_process=2, batch_size=5)]
assert len(there) == 40 and all(abs(mix - here).max() < 1e-5 for mix in there)
"""
    env = {**os.environ, "OMP_NUM_THREADS": "2"}
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=300, env=env)


# Linking


def listeners_of(nlp, name):
    return nlp.get_pipe(name).listening_components


def test_both_kinds_of_listeners_are_found_however_deep(source):
    nlp = tiny_pipeline(
        source, [LISTENER, STOCK_LISTENER, nested(LISTENER), nested(STOCK_LISTENER)]
    )
    assert listeners_of(nlp, "elmo") == ["a", "b", "c", "d"]
    nlp.initialize(lambda: examples(nlp))
    doc = nlp(TEXTS[0])
    assert [doc.user_data[name].shape[1] for name in "abcd"] == [8, 8, 12, 12]
    assert_allclose(doc.user_data["a"], doc.tensor, atol=1e-6)
    assert_allclose(doc.user_data["b"], doc.tensor)


def test_two_components_are_ambiguous_unless_named(source):
    nlp = tiny_pipeline(source)
    nlp.add_pipe("elmo", "other", config={"model": {"source": source}})
    for listener in (LISTENER, STOCK_LISTENER):
        with pytest.raises(ValueError, match="'elmo'.*'other'.*upstream"):
            nlp.add_pipe("half_squares", config={"tok2vec": listener})
        nlp.remove_pipe("half_squares")
        named = {**listener, "upstream": "other"}
        nlp.add_pipe("half_squares", config={"tok2vec": named})
        assert listeners_of(nlp, "elmo") == [] and listeners_of(nlp, "other") == ["half_squares"]
        nlp.remove_pipe("half_squares")


def test_a_listener_before_the_second_component_is_not_ambiguous(source):
    nlp = tiny_pipeline(source, [LISTENER])
    nlp.add_pipe("elmo", "other", config={"model": {"source": source}})
    assert listeners_of(nlp, "elmo") == ["a"]


def test_a_component_can_be_exchanged(source):
    nlp = tiny_pipeline(source, [LISTENER])
    nlp.remove_pipe("elmo")
    nlp.add_pipe("elmo", "new", config={"model": {"source": source}}, before="a")
    assert listeners_of(nlp, "new") == ["a"]
    nlp.rename_pipe("new", "newer")
    nlp.initialize(lambda: examples(nlp))
    assert nlp(TEXTS[0]).user_data["a"].shape == (6, WIDTH)


def test_a_stock_listener_of_the_wrong_width_is_an_error(source):
    wrong = {**STOCK_LISTENER, "width": 96}
    nlp = tiny_pipeline(source, [wrong])
    with pytest.raises(ValueError, match="'a'.*width 96.*'elmo'.*8"):
        nlp.initialize(lambda: examples(nlp))
    nlp = tiny_pipeline(source)
    nlp("The weights are read.")
    with pytest.raises(ValueError, match="width 96"):
        nlp.add_pipe("half_squares", config={"tok2vec": wrong})


def test_a_listener_without_a_component_is_an_error(source):
    nlp = spacy.blank("en")
    nlp.add_pipe("half_squares", config={"tok2vec": LISTENER})
    nlp.add_pipe("elmo", config={"model": {"source": source}})
    with pytest.raises(ValueError, match=r"'elmo'.*spacy-elmo\.Tok2VecElmo\.v1"):
        nlp.initialize(lambda: examples(nlp))


def test_listening_to_layers_that_are_not_kept_is_an_error(source):
    with pytest.raises(ValueError, match="store_layers"):
        tiny_pipeline(source, [LISTENER], elmo={"store_layers": "none"})
    tiny_pipeline(source, [STOCK_LISTENER], elmo={"store_layers": "none"})


def test_beside_a_stock_tok2vec_each_listener_gets_what_it_means(source):
    nlp = tiny_pipeline(source)
    nlp.add_pipe("tok2vec", config={"model": {"width": 16, "embed_size": 50}})
    nlp.add_pipe("half_squares", "a", config={"tok2vec": LISTENER})
    nlp.add_pipe("half_squares", "b", config={"tok2vec": {**STOCK_LISTENER, "width": 16}})
    nlp.initialize(lambda: examples(nlp))
    assert listeners_of(nlp, "elmo") == ["a"] and listeners_of(nlp, "tok2vec") == ["b"]
    losses = nlp.update(examples(nlp))
    doc = nlp(TEXTS[0])
    assert doc.user_data["a"].shape == (6, WIDTH) and doc.user_data["b"].shape == (6, 16)
    assert losses["elmo"] > 0 and losses["tok2vec"] > 0


def test_a_stock_listener_cannot_name_a_component_that_is_not_the_last_writer(source):
    nlp = tiny_pipeline(source)
    nlp.add_pipe("tok2vec", config={"model": {"width": WIDTH, "embed_size": 50}})
    listener = {**STOCK_LISTENER, "upstream": "elmo"}
    with pytest.raises(ValueError, match="'elmo'.*'tok2vec'.*ElmoListener"):
        nlp.add_pipe("half_squares", config={"tok2vec": listener})


def test_a_tok2vec_component_can_listen(source):
    nlp = tiny_pipeline(source)
    nlp.add_pipe("tok2vec", config={"model": STOCK_LISTENER})
    assert listeners_of(nlp, "elmo") == ["tok2vec"]


def test_fixed_weights_of_another_number_of_layers_are_an_error(source):
    nlp = tiny_pipeline(source, [{**LISTENER, "mix_weights": [1, 0]}])
    with pytest.raises(ValueError, match="'a'.*2 mix_weights.*'elmo'.*3"):
        nlp.initialize(lambda: examples(nlp))


def test_a_model_that_is_no_bilm_is_an_error():
    model = {"@architectures": "spacy.HashEmbedCNN.v2", "pretrained_vectors": None}
    sizes = {"width": 8, "depth": 1, "embed_size": 10, "window_size": 1, "maxout_pieces": 2}
    with pytest.raises(ValueError, match=r"'elmo'.*spacy-elmo\.BiLM\.v1"):
        spacy.blank("en").add_pipe(
            "elmo", config={"model": {**model, **sizes, "subword_features": False}}
        )


def test_a_stock_listener_that_two_components_would_feed_is_an_error(source):
    nlp = spacy.blank("en")
    nlp.add_pipe("tok2vec", config={"model": {"width": WIDTH, "embed_size": 50}})
    nlp.add_pipe("elmo", config={"model": {"source": source}})
    nlp.add_pipe("half_squares", config={"tok2vec": STOCK_LISTENER})
    with pytest.raises(ValueError, match="both 'tok2vec' and 'elmo'"):
        nlp.initialize(lambda: examples(nlp))


def test_a_trained_listener_without_vectors_is_an_error_not_zeros(source):
    nlp = tiny_pipeline(source, [LISTENER])
    nlp.initialize(lambda: examples(nlp))
    nlp.update(examples(nlp))
    with nlp.select_pipes(disable=["elmo"]), pytest.raises(ValueError, match="no vectors by ELMo"):
        nlp(TEXTS[0])


# Pipelines on disk


def trained(source, listeners, **kwargs):
    nlp = tiny_pipeline(source, listeners, **kwargs)
    sgd = nlp.initialize(lambda: examples(nlp))
    for _ in range(5):
        nlp.update(examples(nlp), sgd=sgd)
    return nlp


@pytest.mark.parametrize("frozen", [True, False])
def test_a_trained_pipeline_needs_no_source_and_gives_identical_scores(tmp_path, frozen):
    source = save_tiny_bilm(tmp_path / "bilm")
    nlp = trained(source, [LISTENER, nested(STOCK_LISTENER)], frozen=frozen)
    before = nlp(TEXTS[2])
    nlp.to_disk(tmp_path / "here")
    (tmp_path / "here").rename(tmp_path / "there")
    (tmp_path / "bilm").rename(tmp_path / "gone")
    for loaded in (
        spacy.load(tmp_path / "there"),
        spacy.blank("en").from_config(nlp.config).from_bytes(nlp.to_bytes()),
    ):
        after = loaded(TEXTS[2])
        assert (after.tensor == before.tensor).all()
        for name in "ab":
            assert (after.user_data[name] == before.user_data[name]).all()


@pytest.mark.slow
@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("name", ["many_langs_char", "many_langs_char_word"])
def test_a_trained_pipeline_keeps_its_bilms_lexicons(fixtures, tmp_path, name, frozen):
    shutil.copytree(fixtures / name, tmp_path / "bilm")
    text = "He sat 银行 e\u0301\u0301 👩\u200d👩\u200d👧 مرحبا <bos> a" + "x" * 60
    nlp = spacy.blank("en")
    doc = Doc(nlp.vocab, words=text.split())
    nlp.add_pipe("elmo", config={"model": {"source": str(tmp_path / "bilm")}})
    expected = BiLM.load(tmp_path / "bilm").embed([text.split()])[0]
    assert_allclose(nlp(doc)._.elmo.layers, expected, atol=1e-4)

    nlp = trained(tmp_path / "bilm", [LISTENER], frozen=frozen)
    doc = nlp(Doc(nlp.vocab, words=text.split()))
    changed = not np.allclose(doc._.elmo.layers, expected, atol=1e-4)
    assert changed != frozen
    nlp.to_disk(tmp_path / "pipeline")
    shutil.rmtree(tmp_path / "bilm")
    for loaded in (
        spacy.load(tmp_path / "pipeline"),
        spacy.blank("en").from_config(nlp.config).from_bytes(nlp.to_bytes()),
    ):
        after = loaded(Doc(loaded.vocab, words=text.split()))
        assert (after._.elmo.layers == doc._.elmo.layers).all()
        assert (after.user_data["a"] == doc.user_data["a"]).all()


def test_a_remote_source_is_fetched_when_it_is_needed_and_never_for_a_trained_pipeline(
    source, serve, cache, tmp_path
):
    files = ["config.json", "model.safetensors"]
    server = serve({f"bilm/{name}": (tmp_path / "bilm" / name).read_bytes() for name in files})
    nlp = tiny_pipeline(f"{server.url}/bilm")
    assert server.requests == []
    expected = tiny_pipeline(source)(TEXTS[0]).tensor
    assert_allclose(nlp(TEXTS[0]).tensor, expected, atol=1e-6)
    assert [path for path, _ in server.requests] == [f"bilm/{name}" for name in files]
    nlp.to_disk(tmp_path / "pipeline")
    shutil.rmtree(cache)
    loaded = spacy.load(tmp_path / "pipeline")
    assert_allclose(loaded(TEXTS[0]).tensor, expected, atol=1e-6)
    assert len(server.requests) == 2
    assert not cache.exists()


def test_a_pipeline_that_was_never_used_can_be_saved_and_used(source, tmp_path):
    nlp = tiny_pipeline(source)
    nlp.to_disk(tmp_path / "pipeline")
    (tmp_path / "bilm").rename(tmp_path / "gone")
    doc = spacy.load(tmp_path / "pipeline")(TEXTS[0])
    assert doc._.elmo.layers.shape == (3, 6, WIDTH)


def test_components_can_be_sourced(source, tmp_path):
    nlp = trained(source, [LISTENER])
    nlp.to_disk(tmp_path / "pipeline")
    expected = nlp(TEXTS[0]).user_data["a"]
    new = spacy.blank("en")
    other = spacy.load(tmp_path / "pipeline")
    new.add_pipe("elmo", source=other)
    new.add_pipe("a", source=other)
    assert_allclose(new(TEXTS[0]).user_data["a"], expected, atol=1e-6)


@pytest.mark.parametrize("wrap", [lambda block: block, nested])
@pytest.mark.parametrize(
    "listener",
    [
        LISTENER,
        {**LISTENER, "layer_norm": True},
        {**LISTENER, "combine": "concatenate"},
        STOCK_LISTENER,
    ],
)
def test_replaced_listeners_give_identical_scores_also_from_disk(source, tmp_path, wrap, listener):
    nlp, train = textcat_pipeline(source, wrap(listener))
    before = nlp(TEXTS[2]).cats
    path = "model.tok2vec" if wrap is not nested else "model.tok2vec.*.elmo"
    nlp.replace_listeners("elmo", "textcat", [path])
    assert listeners_of(nlp, "elmo") == []
    assert nlp(TEXTS[2]).cats == before
    nlp.remove_pipe("elmo")
    nlp.to_disk(tmp_path / "pipeline")
    assert spacy.load(tmp_path / "pipeline")(TEXTS[2]).cats == before
    nlp.update(train)
    assert nlp(TEXTS[2]).cats != before


def test_two_listeners_of_one_component_are_both_replaced(source, tmp_path):
    two = {"@layers": "concatenate.v1", "*": {"a": LISTENER, "b": LISTENER}}
    nlp, _ = textcat_pipeline(source, two)
    before = nlp(TEXTS[2]).cats
    nlp.replace_listeners("elmo", "textcat", ["model.tok2vec.*.a", "model.tok2vec.*.b"])
    shims = [shim for node in nlp.get_pipe("textcat").model.walk() for shim in node.shims]
    assert len({shim.id for shim in shims}) == 2
    nlp.remove_pipe("elmo")
    nlp.to_disk(tmp_path / "pipeline")
    assert spacy.load(tmp_path / "pipeline")(TEXTS[2]).cats == before


def test_one_bilm_can_be_used_without_an_elmo_component(source):
    nlp = spacy.blank("en")
    tok2vec = {
        "@architectures": "spacy-elmo.Tok2VecElmo.v1",
        "source": source,
        "get_spans": {"@span_getters": "spacy-elmo.sentences.v1"},
    }
    nlp.add_pipe("half_squares", config={"tok2vec": tok2vec})
    sgd = nlp.initialize(lambda: examples(nlp))
    before = nlp(TEXTS[0]).user_data["half_squares"]
    assert_allclose(before, BiLM.load(source).embed([TEXTS[0].split()])[0].mean(axis=0), atol=1e-5)
    for _ in range(20):
        nlp.update(examples(nlp), sgd=sgd)
    assert abs(nlp(TEXTS[0]).user_data["half_squares"]).sum() < abs(before).sum()


def test_torch_threads_of_the_parent_are_left_alone(source):
    threads = torch.get_num_threads()
    tiny_pipeline(source)(TEXTS[0])
    assert torch.get_num_threads() == threads
