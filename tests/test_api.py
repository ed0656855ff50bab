import copy
import importlib.metadata

import h5py
import numpy as np
import pytest
import spacy
import torch

import spacy_elmo
from spacy_elmo import BiLM
from spacy_elmo.formats import SoftmaxWeights

# Differences between machines, numbers of threads and batches stay well below this.
FLOAT32 = 1e-5

# The weights of `clipped` are so large that its LSTMs are chaotic: the smallest difference in
# rounding grows along the sentence. In float32, even the reference implementation (AllenNLP)
# differs from itself by up to 4 on the sentence of 72 tokens between one thread and two, or
# between a sentence alone and in a batch. The comparison is therefore made in float64, against
# vectors that the reference implementation computed in float64; there the same growth leaves 3e-7
# on the longest sentence and less than 1e-12 on the others.
FLOAT64 = 1e-6
VERY_SHORT = [2, 3, 9]  # sentences of `clipped` that end before the difference has grown


# The largest relative error of one rounding: of a number to bfloat16's 8 significant bits; and to
# int8's 127 steps of a row's largest value, which is about four times its usual one.
ROUNDING = {"bfloat16": 2.0**-8, "int8": 4 / 254}


def load(fixtures, folder):
    return BiLM.load(fixtures / folder / "weights.hdf5")


def read(path, n):
    with h5py.File(path) as file:
        return [file[str(i)][()] for i in range(n)]


def assert_close(got, expected, atol):
    assert len(got) == len(expected)
    for layers, other in zip(got, expected, strict=True):
        assert layers.dtype == other.dtype
        np.testing.assert_allclose(layers, other, atol=atol, rtol=0)


@pytest.fixture(scope="module", params=["plain", "deep", "clipped"])
def golden(request, fixtures, sentences):
    """A biLM, the vectors that the reference implementation gives each sentence by itself, and
    how far ours may be from them."""
    folder = fixtures / request.param
    bilm = BiLM.load(folder / "weights.hdf5")
    if request.param != "clipped":
        return bilm, read(folder / "expected.hdf5", len(sentences)), FLOAT32
    bilm.network.double()
    return bilm, read(folder / "expected_float64.hdf5", len(sentences)), FLOAT64


def test_the_reference_vectors_are_varied(golden, sentences):
    """A comparison with them says something."""
    _, expected, atol = golden
    assert len(expected) == len(sentences) == 20
    for layers, words in zip(expected, sentences, strict=True):
        assert layers.shape[1] == len(words)
        assert layers.std() > 1e4 * atol


def test_golden_vectors_of_sentences_alone(golden, sentences):
    bilm, expected, atol = golden
    assert_close([bilm.embed([words])[0] for words in sentences], expected, atol)


def test_golden_vectors_of_all_sentences_together(golden, sentences):
    bilm, expected, atol = golden
    assert_close(bilm.embed(sentences), expected, atol)


@pytest.mark.parametrize("max_batch_tokens", [1, 20, 100])
def test_golden_vectors_of_small_batches(golden, sentences, max_batch_tokens):
    bilm, expected, atol = golden
    assert_close(bilm.embed(sentences, max_batch_tokens=max_batch_tokens), expected, atol)


@pytest.mark.parametrize("seed", range(3))
def test_golden_vectors_of_shuffled_sentences(golden, sentences, seed):
    """Some sentences twice, some not at all."""
    bilm, expected, atol = golden
    order = np.random.default_rng(seed).integers(0, len(sentences), size=25)
    layers = bilm.embed([sentences[i] for i in order], max_batch_tokens=150)
    assert_close(layers, [expected[i] for i in order], atol)


def test_golden_vectors_of_the_chaotic_network_in_float32(fixtures, sentences):
    bilm = load(fixtures, "clipped")
    expected = read(fixtures / "clipped" / "expected.hdf5", len(sentences))
    assert_close(
        bilm.embed([sentences[i] for i in VERY_SHORT]), [expected[i] for i in VERY_SHORT], FLOAT32
    )
    for i in VERY_SHORT:
        assert_close(bilm.embed([sentences[i]]), [expected[i]], FLOAT32)


def test_the_chaotic_network_sits_at_its_clips(fixtures, sentences):
    """The comparison exercises clipping. Layer 1 is the first LSTM's output."""
    outputs = read(fixtures / "clipped" / "expected_float64.hdf5", len(sentences))
    first = np.concatenate([layers[1].ravel() for layers in outputs])
    assert np.abs(first).max() == 3.0
    assert (np.abs(first) == 3.0).mean() > 0.02


@pytest.mark.parametrize("max_batch_tokens", [1, 4096])
def test_golden_vectors_of_the_stateful_mode(fixtures, sentences, max_batch_tokens):
    """The reference implementation, given one sentence after another without a reset."""
    bilm = load(fixtures, "plain")
    expected = read(fixtures / "plain" / "expected_stateful.hdf5", len(sentences))
    for _ in range(2):  # a call does not start where the one before it ended
        layers = bilm.embed(sentences, max_batch_tokens=max_batch_tokens, stateful=True)
        assert_close(layers, expected, FLOAT32)


def test_the_stateful_mode_is_off_by_default(fixtures, sentences):
    expected = read(fixtures / "plain" / "expected_stateful.hdf5", len(sentences))
    layers = load(fixtures, "plain").embed(sentences)
    assert all(
        np.abs(a[1:] - b[1:]).max() > 1e-3 for a, b in zip(layers[1:], expected[1:], strict=True)
    )


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
@pytest.mark.parametrize("folder", ["plain", "deep"])
def test_fewer_bits_stay_near_the_golden_vectors(fixtures, sentences, folder, precision):
    """Each layer's error, relative to the layer, is that of a few roundings."""
    bilm = BiLM.load(fixtures / folder / "weights.hdf5", precision=precision)
    expected = np.concatenate(read(fixtures / folder / "expected.hdf5", len(sentences)), axis=1)
    alone = np.concatenate([bilm.embed([words])[0] for words in sentences], axis=1)
    together = np.concatenate(bilm.embed(sentences), axis=1)
    for layers in (alone, together):
        assert layers.dtype == np.float32
        for layer, other in zip(layers, expected, strict=True):
            error = np.sqrt(np.square(layer - other).mean() / np.square(other).mean())
            assert 1e-3 < error < 2 * ROUNDING[precision]
            assert np.abs(layer - other).max() < 16 * ROUNDING[precision] * other.std()


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
@pytest.mark.parametrize("folder", ["many_langs_char", "many_langs_char_word"])
def test_fewer_bits_with_a_lexicon(fixtures, sentences, folder, precision):
    """The LSTMs of these biLMs have large random weights, which make every error grow."""
    exact = BiLM.load(fixtures / folder).embed(sentences)
    layers = BiLM.load(fixtures / folder, precision=precision).embed(sentences)
    assert [array.shape for array in layers] == [array.shape for array in exact]
    exact, layers = np.concatenate(exact, axis=1), np.concatenate(layers, axis=1)
    for layer, other, growth in zip(layers, exact, (2, 16, 16), strict=True):
        error = np.sqrt(np.square(layer - other).mean() / np.square(other).mean())
        assert 1e-3 < error < growth * ROUNDING[precision]


@pytest.mark.parametrize("precision", ["float8", "float16"])
def test_an_unknown_precision_to_compute_in(fixtures, precision):
    with pytest.raises(ValueError, match=f"'{precision}'.*'bfloat16'"):
        BiLM.load(fixtures / "deep" / "weights.hdf5", precision=precision)


def test_the_precision_is_not_saved(fixtures, sentences, tmp_path):
    bilm = BiLM.load(fixtures / "deep" / "weights.hdf5", precision="int8")
    bilm.embed(sentences[:2])
    bilm.save(tmp_path / "bilm")
    expected = load(fixtures, "deep").embed(sentences[:2])
    assert_close(BiLM.load(tmp_path / "bilm").embed(sentences[:2]), expected, 0)


def test_the_bundled_model_gives_words_context():
    bilm = BiLM.load("en_small")
    river, money = ["on", "the", "bank", "of", "the", "river"], ["the", "bank", "lent", "money"]
    layers = bilm.embed([river, money])
    assert [array.shape for array in layers] == [(3, 6, 256), (3, 4, 256)]
    assert all(array.dtype == np.float32 and np.isfinite(array).all() for array in layers)
    one, other = layers[0][:, 2], layers[1][:, 1]
    np.testing.assert_allclose(one[0], other[0], atol=1e-5)
    for layer in (1, 2):
        assert np.abs(one[layer] - other[layer]).max() > 0.1


@pytest.mark.parametrize("text", ["He sat", "", "x", "<S>"])
def test_a_string_is_not_a_sentence(fixtures, text):
    bilm = load(fixtures, "deep")
    with pytest.raises(TypeError, match=r"sequence of words.*embed\(\[\["):
        bilm.embed([["fine"], text])


def test_a_string_is_not_a_list_of_sentences(fixtures):
    with pytest.raises(TypeError, match="'He sat'"):
        load(fixtures, "deep").embed("He sat")


@pytest.mark.parametrize("word", [None, 7, b"He"])
def test_a_word_is_a_string(fixtures, word):
    with pytest.raises(TypeError, match=type(word).__name__):
        load(fixtures, "deep").embed([["fine"], ["He", word]])


def test_a_doc_is_not_a_list_of_words(fixtures):
    """It may have several sentences, and whitespace that the biLM doesn't read."""
    doc = spacy.blank("en")("He sat. She ran.")
    for sentences in ([doc], doc, [doc[:2]]):
        with pytest.raises(TypeError, match=r"token\.text for token in sent"):
            load(fixtures, "deep").embed(sentences)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_network_in_half_precision_gives_float32(make_network, dtype):
    sentences = [["He", "sat"], [], ["Hello"]]
    expected = BiLM(make_network()).embed(sentences)
    network = copy.deepcopy(make_network()).to(dtype)
    layers = BiLM(network).embed(sentences)
    assert [array.dtype for array in layers] == [np.float32] * 3
    assert [array.shape for array in layers] == [array.shape for array in expected]
    assert_close(layers, expected, 0.05)


def test_a_sentence_may_be_a_tuple(fixtures):
    bilm = load(fixtures, "deep")
    assert_close(bilm.embed((("He", "sat"),)), bilm.embed([["He", "sat"]]), 0)


def test_no_sentences_and_empty_sentences(fixtures):
    bilm = load(fixtures, "deep")
    assert bilm.embed([]) == []
    layers = bilm.embed([[], ["He", "sat"], []])
    assert [array.shape for array in layers] == [(5, 0, 20), (5, 2, 20), (5, 0, 20)]
    assert all(array.dtype == np.float32 for array in layers)


def test_arrays_are_the_callers_own(fixtures):
    """None is a view that keeps its whole batch in memory, and none shares another's."""
    bilm = load(fixtures, "deep")
    sentences = [["He", "sat"], ["He", "sat"], ["on", "it", "."]]
    layers = bilm.embed(sentences)
    before = [array.copy() for array in layers]
    assert all(array.flags.owndata and array.flags.c_contiguous for array in layers)
    layers[0][:] = 0
    assert_close(layers[1:], before[1:], 0)
    assert_close(bilm.embed(sentences), before, 0)


def test_embedding_leaves_no_graph_and_no_mode_behind(fixtures):
    bilm = load(fixtures, "deep")
    bilm.network.train()
    bilm.embed([["He", "sat"]])
    assert bilm.network.training
    assert torch.is_grad_enabled()
    assert all(parameter.grad is None for parameter in bilm.network.parameters())
    assert all(parameter.requires_grad for parameter in bilm.network.parameters())


def test_what_was_embedded_can_be_trained_afterwards(fixtures):
    bilm = load(fixtures, "deep")
    bilm.embed([["He", "sat"]])
    characters = torch.tensor([[258, 65, 259, 260, 260, 260]])
    bilm.network.token_encoder(characters).sum().backward()
    assert bilm.network.token_encoder.char_embedding.weight.grad is not None


def test_a_bilm_around_a_network_has_its_options(make_network):
    network = make_network()
    bilm = BiLM(network)
    assert bilm.network is network
    assert bilm.config is network.config


@pytest.mark.parametrize("device", ["cpu", torch.device("meta")])
def test_loads_to_a_device(fixtures, device):
    bilm = BiLM.load(fixtures / "deep" / "weights.hdf5", device=device)
    devices = {parameter.device for parameter in bilm.network.parameters()}
    assert devices == {torch.device(device)}


def test_loads_a_pair(fixtures, sentences):
    folder = fixtures / "deep"
    bilm = BiLM.load((str(folder / "options.json"), folder / "weights.hdf5"))
    assert_close(bilm.embed(sentences[:1]), read(folder / "expected.hdf5", 1), FLOAT32)


@pytest.mark.parametrize("as_type", [str, lambda path: path], ids=["str", "Path"])
@pytest.mark.parametrize(("format", "name"), [("native", "bilm"), ("hdf5", "bilm/weights.hdf5")])
def test_saves_what_it_can_load(fixtures, sentences, tmp_path, format, name, as_type):
    bilm = load(fixtures, "deep")
    bilm.save(as_type(tmp_path / name), format=format)
    again = BiLM.load(as_type(tmp_path / "bilm"))
    assert again.config == bilm.config
    assert_close(again.embed(sentences), bilm.embed(sentences), 0)


def test_native_is_the_default_format(fixtures, tmp_path):
    load(fixtures, "deep").save(tmp_path / "bilm")
    assert (tmp_path / "bilm" / "model.safetensors").exists()


def test_half_precision_changes_vectors_a_little(fixtures, sentences, tmp_path):
    bilm = load(fixtures, "deep")
    bilm.save(tmp_path / "half", dtype="float16")
    expected, layers = bilm.embed(sentences), BiLM.load(tmp_path / "half").embed(sentences)
    assert all(array.dtype == np.float32 for array in layers)
    difference = max(np.abs(a - b).max() for a, b in zip(layers, expected, strict=True))
    assert 1e-5 < difference < 2e-2


def test_the_published_layout_has_no_half_precision(fixtures, tmp_path):
    with pytest.raises(ValueError, match="HDF5.*float16"):
        load(fixtures, "deep").save(tmp_path / "w.hdf5", format="hdf5", dtype="float16")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_format(fixtures, tmp_path):
    with pytest.raises(ValueError, match="'pickle'.*'native'.*'hdf5'"):
        load(fixtures, "deep").save(tmp_path / "w.pkl", format="pickle")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("dtype", ["float64", "int4", "bfloat16", "float8"])
def test_an_unknown_dtype(fixtures, tmp_path, dtype):
    with pytest.raises(ValueError, match=dtype):
        load(fixtures, "deep").save(tmp_path / "bilm", dtype=dtype)
    assert list(tmp_path.iterdir()) == []


def test_loading_what_is_not_there():
    with pytest.raises(ValueError, match="'nowhere'"):
        BiLM.load("nowhere")


def test_the_package_gives_its_version_and_what_it_exports():
    assert spacy_elmo.__version__ == importlib.metadata.version("spacy-elmo")
    assert all(hasattr(spacy_elmo, name) for name in spacy_elmo.__all__)


def test_hdf5_has_no_place_for_a_softmax(make_network, tmp_path):
    softmax = SoftmaxWeights(("<S>",), torch.zeros(1, 5), torch.zeros(1))
    with pytest.raises(ValueError, match="HDF5.*softmax"):
        BiLM(make_network()).save(tmp_path / "w.hdf5", format="hdf5", softmax=softmax)
    assert not list(tmp_path.iterdir())


def test_predictions(make_network, tmp_path):
    """What they are is tested in tests/pretraining/evaluation/test_predictions.py."""
    words = ("</S>", "<S>", "<UNK>", "a", "bank")
    generator = torch.Generator().manual_seed(0)
    softmax = SoftmaxWeights(words, torch.randn(5, 5, generator=generator), torch.zeros(5))
    BiLM(make_network()).save(tmp_path, softmax=softmax)
    bilm = BiLM.load(tmp_path)
    text = [["a", "bank"], ["a"]]
    assert [s.forward.shape for s in bilm.surprisal(text)] == [(2,), (1,)]
    assert [[len(place) for place in places] for places in bilm.substitutes(text)] == [[2, 2], [2]]
    with torch.no_grad():
        before = bilm.surprisal(text)[0]
        bilm.network.forward_lstm.layers[0].weight_ih += 1
    after = bilm.surprisal(text)[0]
    assert (after.forward != before.forward).any()
    assert (after.backward == before.backward).all()
    with pytest.raises(TypeError, match="A sentence is a sequence of words"):
        bilm.surprisal(["a bank"])
    for compute in (BiLM(bilm.network).surprisal, BiLM.load("en_small").substitutes):
        with pytest.raises(ValueError, match="no softmax"):
            compute(text)
