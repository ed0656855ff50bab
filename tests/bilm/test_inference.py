import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_elmo import BiLM
from spacy_elmo.bilm import Engine, encoding, inference, threads
from spacy_elmo.bilm.inference import Inference
from spacy_elmo.bilm.kernels import has_onednn

PRECISIONS = ["float32", "bfloat16", "int8"]
# Those of which a row's product is the same to the last bit, whatever is beside it. Others are the
# same but for rounding, which the tests of the engine allow for.
EXACT = [name for name in PRECISIONS if has_onednn(torch.device("cpu"), name)]
FEW_WORDS = st.sampled_from(["a", "bank", "of", "", "é", "银行", "<S>", "x" * 60, "lends"])
SENTENCES = st.lists(st.lists(FEW_WORDS, max_size=40), max_size=40)


@pytest.fixture(scope="module")
def wide(make_network):
    """As in published biLMs, widths are multiples of 32 and characters have 16 numbers."""
    filters = ((1, 32), (2, 32), (3, 64), (5, 96))
    return make_network(
        dim=128, projection_dim=32, filters=filters, embedding_dim=16,
        cell_clip=3.0, proj_clip=3.0, scale=0.1,
    )  # fmt: skip


@pytest.fixture(scope="module")
def engines(wide):
    return [Engine(wide, precision) for precision in EXACT]


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    threads._pool.cache_clear()
    yield
    threads._pool.cache_clear()
    torch.set_num_threads(before)


def embed(engine, sentences, **kwargs):
    with torch.no_grad():
        return [layers.numpy().copy() for layers in engine(sentences, **kwargs)]


def same(got, expected):
    """To the last bit."""
    return len(got) == len(expected) and all(map(np.array_equal, got, expected))


def texts(seed, n_words=500):
    """Sentences of words of all lengths, some of them often."""
    rng = np.random.default_rng(seed)
    words = ["".join(rng.choice(list("abcdeé银"), rng.integers(1, 20))) for _ in range(n_words)]
    return [[words[i] for i in rng.zipf(1.3, n) % n_words] for n in rng.integers(1, 40, size=30)]


@pytest.mark.slow
@pytest.mark.skipif(not EXACT, reason="needs oneDNN")
@settings(max_examples=25, deadline=None)
@given(SENTENCES, st.integers(1, 500), st.randoms(use_true_random=False))
def test_vectors_are_the_same_to_the_last_bit(engines, wide, sentences, max_batch_tokens, random):
    """Alone, in batches, in another order, and whatever was computed before."""
    order = list(range(len(sentences)))
    random.shuffle(order)
    for engine in engines:
        together = embed(engine, sentences)
        assert same([embed(engine, [words])[0] for words in sentences], together)
        shuffled = embed(engine, [sentences[i] for i in order], max_batch_tokens=max_batch_tokens)
        assert same(shuffled, [together[i] for i in order])
        for words, layers in list(zip(sentences, together, strict=True))[:2]:
            assert same(embed(Engine(wide, engine.precision), [words]), [layers])


@pytest.mark.parametrize("precision", EXACT)
def test_the_number_of_threads_changes_nothing(wide, two_threads, precision):
    sentences = texts(0)
    assert len({word for words in sentences for word in words}) > 100
    expected = embed(Engine(wide, precision), sentences)
    for n in (1, 4):
        torch.set_num_threads(n)
        assert same(embed(Engine(wide, precision), sentences), expected)


@pytest.mark.slow
@pytest.mark.parametrize("precision", EXACT)
def test_forgetting_words_changes_nothing(wide, monkeypatch, precision):
    sentences = texts(1)
    expected = embed(Engine(wide, precision), sentences)
    monkeypatch.setattr(inference, "MEMORY_BYTES", 4 * 32 * 5)
    monkeypatch.setattr(encoding, "WORDS_PER_PRODUCT", 3)
    small = Engine(wide, precision)
    for i, words in enumerate(sentences):
        assert same(embed(small, [words]), expected[i : i + 1])
    assert same(embed(small, sentences), expected)


def test_a_word_is_encoded_once_in_all_calls(wide):
    rows = []
    engine = Engine(wide)

    def note(module, args):
        rows.append(len(args[0]))

    with wide.token_encoder.register_forward_pre_hook(note):
        for _ in range(3):
            embed(engine, [["a", "bank"], ["bank", "of"]])
    assert sum(rows) == 5  # three words and both boundaries


@pytest.mark.slow
@pytest.mark.parametrize("precision", EXACT)
def test_python_threads_may_share_a_bilm(wide, two_threads, precision):
    """From the first call on, in which the weights are packed."""
    bilm = BiLM(wide, precision)
    batches = [texts(seed, n_words=100)[:8] for seed in range(4)]
    expected = [BiLM(wide, precision).embed(batch) for batch in batches]
    start = Barrier(4, timeout=20)

    def work(i):
        start.wait()
        return [bilm.embed(batches[(i + k) % 4]) for k in range(4)]

    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(work, i) for i in range(4)]
        for i, future in enumerate(futures):
            for k, layers in enumerate(future.result(timeout=60)):
                assert same(layers, expected[(i + k) % 4])


def test_another_thread_may_forget_the_packed_weights(wide, monkeypatch):
    """At the worst moment: when it has been seen that they are still right."""
    engine = Engine(wide)
    expected = embed(engine, [["a"]])

    def is_of(self, network):
        engine.forget()
        return True

    monkeypatch.setattr(Inference, "is_of", is_of)
    assert same(embed(engine, [["a"]]), expected)


MODES = [torch.no_grad, torch.inference_mode]


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("n_threads", [1, 2])
def test_either_mode_with_any_number_of_threads(make_network, two_threads, mode, n_threads):
    """Each batch has many words and sentences of several lengths."""
    torch.set_num_threads(n_threads)
    engine, sentences = Engine(make_network()), texts(2)
    exact = [layers.detach() for layers in engine(sentences)]
    for _ in range(2):
        with mode():
            layers = engine(sentences)
            layers[0].add_(0)  # results are the caller's to write to
        torch.testing.assert_close(layers, exact, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("precision", EXACT)
def test_no_grad_and_inference_mode_take_turns(wide, precision):
    engine = Engine(wide, precision)
    for i, word in enumerate(["a", "b", "c", "d", "e", "f"]):
        with MODES[i % 2]():
            layers = engine([[word, word * 2]])[0].numpy()
        with torch.no_grad():
            assert same([layers], embed(Engine(wide, precision), [[word, word * 2]]))


def test_a_bilm_that_is_loaded_in_inference_mode_can_learn(fixtures):
    path = fixtures / "deep" / "weights.hdf5"
    with torch.inference_mode():
        bilm = BiLM.load(path)
        layers = bilm.embed([["He", "sat"]])
    assert same(layers, BiLM.load(path).embed([["He", "sat"]]))
    engine = Engine(bilm.network)
    engine([["He", "sat"]])[0].sum().backward()
    assert all(p.grad is not None for p in bilm.network.parameters())


def test_weights_that_are_made_in_inference_mode(make_network):
    with torch.inference_mode():
        network = make_network()
    assert next(network.parameters()).is_inference()
    assert same(embed(Engine(network), [["a", "b"]]), embed(Engine(make_network()), [["a", "b"]]))


def in_place(network, other):
    with torch.no_grad():
        for weight, new in zip(network.parameters(), other.parameters(), strict=True):
            weight.copy_(new)


def one_weight(network, other):
    with torch.no_grad():
        network.backward_lstm.layers[1].bias.copy_(other.backward_lstm.layers[1].bias)


def replaced(network, other):
    network.forward_lstm.layers[0].weight_hh = other.forward_lstm.layers[0].weight_hh


def data(network, other):
    network.forward_lstm.layers[0].weight_hh.data = other.forward_lstm.layers[0].weight_hh.data


def load_state(network, other):
    network.load_state_dict(other.state_dict())


def assign_state(network, other):
    network.load_state_dict(other.state_dict(), assign=True)


def optimize(network, other):
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    Engine(network)([["a", "bank"]])[0].square().sum().backward()
    optimizer.step()
    network.zero_grad()


def a_module(network, other):
    network.token_encoder = other.token_encoder


CHANGES = [in_place, one_weight, replaced, data, load_state, assign_state, optimize, a_module]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("change", CHANGES)
def test_changed_weights_give_their_own_vectors(make_network, change, precision):
    network = make_network()
    engine = Engine(network, precision)
    before = embed(engine, [["a", "bank"]])
    change(network, make_network(seed=1))
    after = embed(engine, [["a", "bank"]])
    assert np.abs(after[0] - before[0]).max() > 1e-3
    assert same(after, embed(Engine(copy.deepcopy(network), precision), [["a", "bank"]]))
    assert same(embed(engine, [["a", "bank"]]), after)


def test_weights_changed_behind_pytorchs_back_need_forget(make_network):
    network = make_network()
    engine = Engine(network)
    before = embed(engine, [["a", "bank"]])
    network.forward_lstm.layers[0].bias.detach().numpy()[:] = 0.7
    engine.forget()
    after = embed(engine, [["a", "bank"]])
    assert np.abs(after[0] - before[0]).max() > 1e-3
    assert same(after, embed(Engine(network), [["a", "bank"]]))


def test_weights_are_packed_once(make_network, monkeypatch):
    packed = []
    pack_network = inference.pack_network

    def note(network, precision):
        packed.append(precision)
        return pack_network(network, precision)

    monkeypatch.setattr(inference, "pack_network", note)
    network = make_network()
    engine = Engine(network, "int8")
    for _ in range(3):
        embed(engine, [["a"]])
        engine([["a"]])[0].sum().backward()  # a gradient changes no weight
    network.train()
    embed(engine, [["a"]])
    assert packed == ["int8"]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_used_engine_can_be_copied(make_network, copied):
    """The copy has weights of its own, and the original keeps its."""
    engine = Engine(make_network(), "bfloat16")
    before = embed(engine, [["a", "bank"]])
    twin = copied(engine)
    assert twin.precision == "bfloat16"
    assert same(embed(twin, [["a", "bank"]]), before)
    in_place(twin.network, make_network(seed=1))
    expected = embed(Engine(make_network(seed=1), "bfloat16"), [["a", "bank"]])
    assert same(embed(twin, [["a", "bank"]]), expected)
    assert same(embed(engine, [["a", "bank"]]), before)


@pytest.mark.parametrize("n_bytes", [2**26, 1])
def test_words_of_many_batches_are_encoded_together(wide, monkeypatch, n_bytes):
    """Unless they are more than are remembered; the vectors are the same."""
    sentences = texts(0, n_words=100)[:8]
    expected = embed(Engine(wide), sentences)
    monkeypatch.setattr(inference, "MEMORY_BYTES", n_bytes)
    encode = inference.Inference._encode
    calls = []

    def record(self, words):
        calls.append(words)
        return encode(self, words)

    monkeypatch.setattr(inference.Inference, "_encode", record)
    with torch.no_grad():
        layers = Engine(wide)(sentences, max_batch_tokens=1)
    for array, other in zip(layers, expected, strict=True):
        np.testing.assert_allclose(array, other, atol=1e-5, rtol=0)
    assert len(calls) == (len(sentences) if n_bytes == 1 else 1)
