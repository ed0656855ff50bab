import pickle
import warnings

import numpy as np
import pytest
import spacy
from helpers import WIDTH, save_tiny_bilm, tiny_pipeline
from numpy.testing import assert_allclose
from spacy.tokens import Doc, DocBin

from spacy_elmo import read_vectors, set_hooks

TEXT = "He sat on the bank . The bank lends money ."


@pytest.fixture
def nlp(tmp_path):
    return tiny_pipeline(save_tiny_bilm(tmp_path / "bilm"))


@pytest.fixture
def doc(nlp):
    return nlp(TEXT)


def test_extension_gives_layers_mix_token_and_mean_of_a_span(doc):
    layers = doc._.elmo.layers
    assert layers.shape == (3, len(doc), WIDTH)
    assert layers.dtype == np.float32
    assert_allclose(doc._.elmo.mix, layers.mean(axis=0), atol=1e-6)
    assert_allclose(doc[4]._.elmo, doc._.elmo.mix[4])
    assert_allclose(doc[1:4]._.elmo, doc._.elmo.mix[1:4].mean(axis=0))
    assert doc[2:2]._.elmo.tolist() == [0] * WIDTH


def test_vectors_come_without_a_warning_and_know_their_context(doc):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert doc[4].text == doc[7].text == "bank"
        assert 0 < doc[4].similarity(doc[7]) < 0.999999
        assert doc[4].similarity(doc[4]) == pytest.approx(1)
        assert doc[0:4].similarity(doc) == pytest.approx(
            float(np.dot(doc[0:4].vector, doc.vector)) / (doc[0:4].vector_norm * doc.vector_norm)
        )
        assert_allclose(doc.vector, doc.tensor.mean(axis=0))
        assert_allclose(doc[4].vector, doc.tensor[4])
        assert doc.has_vector and doc[0:2].has_vector and doc[0].has_vector
        assert doc[4].vector_norm == pytest.approx(np.linalg.norm(doc.tensor[4]), rel=1e-5)
        assert doc[4:5].vector_norm == pytest.approx(np.linalg.norm(doc.tensor[4]), rel=1e-5)


def test_whitespace_has_no_vector(nlp):
    doc = nlp("a   b")
    assert doc[1].is_space
    assert not doc[1].has_vector
    with pytest.warns(UserWarning, match="W008"):
        assert doc[1].similarity(doc[0]) == 0.0


def test_empty_doc(nlp):
    doc = nlp("")
    assert doc._.elmo.layers.shape == (3, 0, WIDTH)
    assert doc.vector.tolist() == [0] * WIDTH
    assert not doc.has_vector


def test_similarity_to_something_else_is_an_error(doc):
    with pytest.raises(ValueError, match="set_hooks"):
        doc[4].similarity(spacy.blank("en")("bank")[0])


def test_docs_without_vectors_say_so():
    doc = spacy.blank("en")(TEXT)
    for target in (doc, doc[0], doc[0:2]):
        with pytest.raises(ValueError, match="no vectors by ELMo"):
            _ = target._.elmo


def restored_by_bytes(doc, vocab):
    return Doc(vocab).from_bytes(doc.to_bytes())


def restored_by_docbin(doc, vocab):
    data = DocBin(store_user_data=True, docs=[doc]).to_bytes()
    return next(DocBin().from_bytes(data).get_docs(vocab))


@pytest.mark.filterwarnings("ignore:.*W109")
@pytest.mark.parametrize("restore", [restored_by_bytes, restored_by_docbin])
def test_vectors_survive_serialization_and_hooks_can_be_restored(doc, restore):
    restored = restore(doc, spacy.blank("en").vocab)
    assert_allclose(restored._.elmo.layers, doc._.elmo.layers)
    assert_allclose(restored[4]._.elmo, doc[4]._.elmo)
    assert_allclose(restored[1:3]._.elmo, doc[1:3]._.elmo)
    assert not restored.user_token_hooks
    assert set_hooks(restored) is restored
    assert restored[4].similarity(restored[7]) == pytest.approx(doc[4].similarity(doc[7]))


def test_hooks_can_be_pickled(doc):
    for hooks in (doc.user_hooks, doc.user_span_hooks, doc.user_token_hooks):
        assert pickle.loads(pickle.dumps(hooks)) == hooks


@pytest.mark.parametrize("part", [lambda d: d, lambda d: d[0], lambda d: d[0:3], lambda d: d[3]])
def test_merged_tokens_are_an_error(doc, part):
    with doc.retokenize() as retokenizer:
        retokenizer.merge(doc[0:2])
    with pytest.raises(ValueError, match="'elmo'.*Retokenize before"):
        _ = part(doc)._.elmo


def test_a_merge_and_a_split_that_keep_the_length_are_an_error(doc):
    n_tokens = len(doc)
    with doc.retokenize() as retokenizer:
        retokenizer.merge(doc[0:2])
        retokenizer.split(doc[9], ["mo", "ney"], heads=[(doc[9], 0), (doc[9], 1)])
    assert len(doc) == n_tokens
    for target in (doc, doc[0:3], doc[0], doc[2], doc[8]):
        with pytest.raises(ValueError, match="Retokenize before"):
            _ = target._.elmo
    with pytest.raises(ValueError, match="Retokenize before"):
        _ = doc.vector


@pytest.mark.parametrize("start", [0, 3])
def test_a_part_of_a_doc_with_the_user_data_of_the_whole_is_an_error(doc, start):
    part = doc[start : start + 5].as_doc(copy_user_data=True)
    for target in (part, part[0], part[0:2]):
        with pytest.raises(ValueError, match="Retokenize before"):
            _ = target._.elmo


def test_a_doc_made_of_a_span_has_its_vectors_by_its_tensor(doc):
    part = doc[3:6].as_doc()
    assert_allclose(part.vector, doc[3:6].vector)
    assert_allclose(part[1].vector, doc[4].vector)
    assert_allclose(part[0:2].vector, doc[3:5].vector)
    with pytest.raises(ValueError, match="no vectors by ELMo"):
        _ = part._.elmo


@pytest.mark.parametrize(("store", "dtype"), [("float16", np.float16), ("float32", np.float32)])
def test_layers_can_be_kept_in_half_precision(tmp_path, store, dtype):
    nlp = tiny_pipeline(save_tiny_bilm(tmp_path / "bilm"), elmo={"store_layers": store})
    doc = nlp(TEXT)
    assert doc._.elmo.layers.dtype == dtype
    assert doc.tensor.dtype == np.float32


def test_layers_that_are_not_kept_say_so(tmp_path):
    nlp = tiny_pipeline(save_tiny_bilm(tmp_path / "bilm"), elmo={"store_layers": "none"})
    doc = nlp(TEXT)
    assert doc[4]._.elmo.shape == (WIDTH,)
    with pytest.raises(ValueError, match="store_layers"):
        _ = doc._.elmo.layers


@pytest.mark.parametrize("overwrite", [False, True])
def test_static_vectors_answer_unless_the_config_says_elmo_does(tmp_path, overwrite):
    source = save_tiny_bilm(tmp_path / "bilm")
    nlp = tiny_pipeline(source, elmo={"overwrite_vectors": overwrite})
    nlp.vocab.set_vector("bank", np.ones(2, "f"))
    doc = nlp(TEXT)
    assert doc[4].vector.shape == ((WIDTH,) if overwrite else (2,))
    assert (doc[4].similarity(doc[7]) < 0.999999) == overwrite
    assert doc[4]._.elmo.shape == (WIDTH,)


def test_several_components(tmp_path):
    nlp = tiny_pipeline(save_tiny_bilm(tmp_path / "one", seed=1))
    nlp.add_pipe("elmo", "other", config={"model": {"source": save_tiny_bilm(tmp_path / "two")}})
    doc = nlp(TEXT)
    assert doc._.elmo.name == "elmo"
    other = read_vectors(doc, "other")
    assert_allclose(doc.tensor, other.mix)
    assert abs(other.layers - doc._.elmo.layers).max() > 0.01
    with pytest.raises(ValueError, match="'nobody'.*'elmo', 'other'"):
        read_vectors(doc, "nobody")
    del doc.user_data["spacy_elmo"]["elmo"]
    assert doc._.elmo.name == "other"
