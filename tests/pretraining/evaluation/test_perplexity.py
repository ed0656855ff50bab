"""Every perplexity is compared with plain loops in float64, one token after the other."""

import math
from importlib import import_module
from itertools import pairwise
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import torch

from spacy_elmo.bilm import Engine
from spacy_elmo.formats import SoftmaxWeights, read_hdf5, read_softmax, read_source, read_words
from spacy_elmo.pretraining.corpus.token_store import TokenStore
from spacy_elmo.pretraining.corpus.vocabulary import Vocabulary
from spacy_elmo.pretraining.evaluation import full_softmax
from spacy_elmo.pretraining.evaluation.perplexity import Perplexity, perplexity
from spacy_elmo.pretraining.evaluation.sentences import StoredSentences, cut_streams, streams_of

module = import_module("spacy_elmo.pretraining.evaluation.perplexity")  # not the function

WORDS = ["</S>", "<S>", "<UNK>", "the", "bank", "of", "river", "a", "."]
LINES = [
    "the bank of the river .",
    "the",
    "a bänk ? of the unknown river , the bank of the river a a a .",
    "",
    "river of a bank",
    "the the the the the the",
    "</S> the <S>",
]
TEXT = [line.split() for line in LINES]


def random_model(network, words=WORDS, seed=0):
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(len(words), network.config.lstm.projection_dim, generator=generator)
    softmax = SoftmaxWeights(tuple(words), weight, torch.randn(len(words), generator=generator))
    return SimpleNamespace(network=network, softmax=softmax, vocabulary=Vocabulary(words))


@pytest.fixture
def model(make_network):
    return random_model(make_network(cell_clip=3.0, proj_clip=3.0, scale=2.0))


@pytest.fixture
def by_hand(encode_by_hand, lstm_by_hand):
    """Gives the perplexity of both directions."""

    def losses(model, words, states):
        """The losses of reading one sentence. states: Those of each layer, which are changed."""
        network, targets = model.network, {word: i for i, word in enumerate(model.softmax.words)}
        ids = network.token_encoder.words_to_ids(words)[0]
        x = encode_by_hand(network.token_encoder, network.config.char_cnn.activation, ids)[:-1]
        for i, layer in enumerate(states["layers"]):
            y, *states[i] = lstm_by_hand(layer, x, *states.get(i, (None, None)))
            x = x + y if i > 0 and network.config.lstm.use_skip_connections else y
        weight, bias = (array.numpy().astype(float) for array in model.softmax[1:])
        for vector, word in zip(x, words[1:], strict=True):
            logits = weight @ vector + bias
            right = logits[targets.get(word, targets["<UNK>"])]
            yield math.log(np.exp(logits).sum()) - right

    def run(model, sentences, stateful):
        results = []
        model = SimpleNamespace(network=model.network, softmax=model.softmax)
        for stack, step in [(model.network.forward_lstm, 1), (model.network.backward_lstm, -1)]:
            states = {"layers": stack.layers}
            all_losses = []
            for words in sentences:
                if not stateful:
                    states = {"layers": stack.layers}
                tokens = ["<S>", *words, "</S>"][::step]
                all_losses += losses(model, tokens, states)
            results.append(math.exp(sum(all_losses) / len(all_losses)))
        return results

    return run


@pytest.mark.parametrize("stateful", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {"cell_clip": 3.0, "proj_clip": 3.0, "scale": 2.0},
        {"n_layers": 3, "skip_connections": True},
        {"n_layers": 2, "skip_connections": False},
        {"n_layers": 1, "dim": 32, "projection_dim": 32, "scale": 0.3},
    ],
)
def test_is_that_of_the_plain_formula(make_network, by_hand, stateful, options):
    model = random_model(make_network(**options))
    result = perplexity(model, TEXT, stateful=stateful, n_streams=1)
    assert result[:2] == pytest.approx(by_hand(model, TEXT, stateful), rel=1e-5)
    # "bänk ? unknown ," are not in the vocabulary; <S> and </S> are, also as words.
    assert result[2:] == (7, 37, 4)
    assert result.both == pytest.approx(math.sqrt(result.forward * result.backward))


def test_carried_state_matters(model, by_hand):
    stateful = perplexity(model, TEXT, stateful=True, n_streams=1)
    stateless = perplexity(model, TEXT, stateful=False)
    for i in range(2):
        assert abs(stateful[i] / stateless[i] - 1) > 1e-3


@pytest.mark.parametrize("window", [1, 2, 3, 5, 100])
def test_windows_do_not_matter(model, by_hand, monkeypatch, window):
    monkeypatch.setattr(module, "WINDOW", window)
    result = perplexity(model, TEXT, stateful=True, n_streams=1)
    assert result[:2] == pytest.approx(by_hand(model, TEXT, True), rel=1e-5)


@pytest.mark.parametrize("n_streams", [2, 3, 7, 100])
@pytest.mark.parametrize("window", [1, 4, 100])
def test_streams_are_consecutive_parts_of_the_text(model, by_hand, monkeypatch, n_streams, window):
    """Each is as if it were a text of its own."""
    monkeypatch.setattr(module, "WINDOW", window)
    result = perplexity(model, TEXT, stateful=True, n_streams=n_streams)
    bounds = [i * len(TEXT) // min(n_streams, 7) for i in range(min(n_streams, 7) + 1)]
    sums = np.zeros(2)
    for start, end in pairwise(bounds):
        part = TEXT[start:end]
        sums += np.log(by_hand(model, part, True)) * sum(len(words) + 1 for words in part)
    expected = np.exp(sums / sum(len(words) + 1 for words in TEXT))
    assert result[:2] == pytest.approx(expected.tolist(), rel=1e-5)


@pytest.mark.slow
def test_the_number_of_streams_leaves_each_50_sentences(model, monkeypatch):
    n_streams = []

    class Reader(module._Reader):
        def read(self, streams, window):
            n_streams.append(len(streams))
            super().read(streams, window)

    monkeypatch.setattr(module, "_Reader", Reader)
    for n_sentences in (1, 99, 100, 5000):
        perplexity(model, [["a"]] * n_sentences, stateful=True)
    assert n_streams == [1, 1, 2, 64]


def test_batches_and_blocks_do_not_matter(model, by_hand, monkeypatch):
    monkeypatch.setattr(full_softmax, "BLOCK_TOKENS", 5)
    monkeypatch.setattr(full_softmax, "BLOCK_WORDS", 4)
    monkeypatch.setattr(module, "SORTED_SENTENCES", 3)
    expected = pytest.approx(by_hand(model, TEXT, False), rel=1e-5)
    for max_batch_tokens in (1, 10, 30):
        result = perplexity(model, TEXT, stateful=False, max_batch_tokens=max_batch_tokens)
        assert result[:2] == expected


def test_two_threads_in_inference_mode(model, by_hand):
    n_threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        with torch.inference_mode():
            result = perplexity(model, TEXT, stateful=True, n_streams=2)
    finally:
        torch.set_num_threads(n_threads)
    assert result == pytest.approx(perplexity(model, TEXT, stateful=True, n_streams=2), rel=1e-6)


def test_a_uniform_softmax_is_as_perplexed_as_there_are_words(model):
    model.softmax.weight.zero_()
    model.softmax.bias.zero_()
    for stateful in (False, True):
        result = perplexity(model, TEXT, stateful=stateful)
        assert result[:2] == pytest.approx((9.0, 9.0), rel=1e-6)


def test_weights_that_are_being_trained(model, by_hand):
    """Of a model in training mode, after its weights have changed; nothing is left behind."""
    model.network.train()
    model.softmax = SimpleNamespace(
        words=model.softmax.words,
        weight=torch.nn.Parameter(model.softmax.weight),
        bias=torch.nn.Parameter(model.softmax.bias),
    )
    before = perplexity(model, TEXT, stateful=False)
    with torch.no_grad():
        model.network.forward_lstm.layers[0].weight_ih += 0.5
    after = perplexity(model, TEXT, stateful=False)
    assert after.forward != before.forward
    assert after.backward == before.backward
    assert model.network.training
    assert torch.is_grad_enabled()


def test_a_diverged_bilm(model):
    model.softmax.bias[3] = 1e30
    assert perplexity(model, [["a"]], stateful=False).forward == math.inf


def test_no_sentences(model):
    for stateful in (False, True):
        with pytest.raises(ValueError, match="no perplexity"):
            perplexity(model, [], stateful=stateful)


def test_the_sentences_of_a_store(model):
    words = ["a", "bank", "of"]
    tokens, starts = np.array([0, 1, 2, 0, 1], "int32"), np.array([0, 2, 3, 5])
    store = TokenStore(words, np.array([2, 2, 1]), tokens, starts)
    sentences = [["a", "bank"], ["of"], ["a", "bank"]]
    assert list(StoredSentences(store)) == sentences
    assert list(StoredSentences(store, 2)) == sentences[:2]
    assert list(StoredSentences(store, 5)) == sentences
    for stateful in (False, True):
        expected = perplexity(model, sentences, stateful=stateful)
        assert perplexity(model, StoredSentences(store), stateful=stateful) == expected


def numbered(n_sentences):
    """A store whose sentences are their numbers."""
    numbers = np.arange(n_sentences, dtype="int32")
    words = [str(i) for i in numbers]
    return TokenStore(words, np.ones_like(numbers), numbers, np.arange(n_sentences + 1))


@pytest.mark.parametrize(
    ("n_sentences", "n_blocks", "expected"),
    [
        (4, 4, [0, 3, 6, 9]),
        (5, 2, [0, 1, 5, 6, 7]),
        (3, 1, [0, 1, 2]),
        (11, 4, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        (12, 12, list(range(12))),
        (99, 5, list(range(12))),
    ],
)
def test_blocks_are_spread_over_the_store(n_sentences, n_blocks, expected):
    sentences = StoredSentences(numbered(12), n_sentences, n_blocks)
    assert [int(word) for (word,) in sentences] == expected


@pytest.mark.parametrize("n_stored", [100, 5000, 12345])
@pytest.mark.parametrize("n_sentences", [1, 49, 100, 730, 4999])
def test_the_sentences_of_a_stream_follow_each_other(n_stored, n_sentences):
    n_sentences = min(n_sentences, n_stored)
    n_streams = streams_of(n_sentences)
    sentences = StoredSentences(numbered(n_stored), n_sentences, n_streams)
    numbers = [int(word) for (word,) in sentences]
    assert len(numbers) == n_sentences and np.all(np.diff(numbers) > 0)
    for stream in cut_streams(n_sentences, n_streams):
        assert np.all(np.diff(numbers[stream.start : stream.stop]) == 1)
    if n_streams > 1:
        last = n_stored - numbers[-1] - 1
        assert last <= n_stored / n_streams


def test_a_bilm_with_a_lexicon(fixtures, sentences):
    """Its boundaries have other names than those of the vocabulary. The layers are the engine's."""
    network = read_source(fixtures / "many_langs_char")
    model = random_model(network, [*WORDS, *sorted({w for s in sentences for w in s} - {*WORDS})])
    text = [words for words in sentences if not {"<S>", "</S>", "<bos>", "<eos>"} & {*words}]
    result = perplexity(model, text, stateful=False)
    assert result[:2] == pytest.approx(from_layers(model, network_layers(network, text), text))


def network_layers(network, sentences):
    """The top layer of each sentence with its boundaries, by the network itself."""
    engine = Engine(network)
    begin, end = network.config.char_cnn.boundaries
    for words in sentences:
        layers, _ = engine._run_exactly([begin, *words, end], [len(words) + 2], None)
        yield layers[-1].detach().numpy()


def from_layers(model, layers, sentences):
    """Perplexities from the top layers of all tokens: what stands at a word predicts the next one
    in its forward half, and the one before in its backward half."""
    weight, bias = (array.numpy().astype(float) for array in model.softmax[1:])
    losses = [[], []]
    for array, words in zip(layers, sentences, strict=True):
        ids = model.vocabulary.ids(words).tolist()
        ids = [model.vocabulary.begin_id, *ids, model.vocabulary.end_id]
        forward, backward = np.split(array.astype(float), 2, axis=1)
        for direction, vectors, targets in [
            (0, forward[:-1], ids[1:]),
            (1, backward[1:], ids[:-1]),
        ]:
            logits = vectors @ weight.T + bias
            for row, target in zip(logits, targets, strict=True):
                losses[direction].append(np.log(np.exp(row).sum()) - row[target])
    return [math.exp(np.mean(values)) for values in losses]


@pytest.mark.slow
def test_of_a_bilm_that_bilm_tf_has_trained(fixtures, sentences, tmp_path):
    """Its vectors were computed by AllenNLP, its softmax by TensorFlow."""
    pytest.importorskip("tensorflow", exc_type=ImportError)
    folder = fixtures / "tensorflow_checkpoint"
    options = folder / "options.json"
    softmax = read_softmax((options, folder / "model.ckpt-60"), folder / "vocab.txt")
    model = SimpleNamespace(
        network=read_hdf5(options, folder / "weights.hdf5"),
        softmax=softmax,
        vocabulary=Vocabulary(read_words(folder / "vocab.txt")),
    )
    layers = []
    with h5py.File(folder / "expected.hdf5") as file:
        for i in range(len(sentences)):
            begin, end = file[f"boundaries/{i}"][-1]
            layers.append(np.concatenate([begin[None], file[str(i)][-1], end[None]]))
    result = perplexity(model, sentences, stateful=False)
    assert result[:2] == pytest.approx(from_layers(model, layers, sentences), rel=1e-5)
    assert isinstance(result, Perplexity)
