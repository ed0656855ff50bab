import multiprocessing
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch.func import functional_call

from spacy_elmo.bilm import Engine, encoding, threads

FEW_WORDS = st.sampled_from(["a", "bank", "of", "", "é", "银行", "<S>", "x" * 60])
ANY_WORDS = st.text(st.characters(codec=None, exclude_categories=()), max_size=12)
SENTENCES = st.lists(st.lists(FEW_WORDS | ANY_WORDS, max_size=8), max_size=8)

HARD_SENTENCES = [
    [""],
    ["a", "", "b"],
    ["\0"],
    ["\ud800"],
    ["👩‍👩‍👧‍👦", "🇨🇭"],
    ["مرحبا", "שלום", "\u202eabc\u202c"],
    ["<S>"],
    ["</S>", "<S>"],
    [" ", "\n", "\u200b"],
    ["x" * 10_000],
]


def embed(network, sentences, max_batch_tokens=4096, stateful=False, precision="float32"):
    engine = Engine(network, precision)
    with torch.no_grad():
        layers = engine(sentences, max_batch_tokens=max_batch_tokens, stateful=stateful)
        return [sentence.numpy() for sentence in layers]


def assert_close(got, expected, atol=1e-5):
    assert len(got) == len(expected)
    for layers, other in zip(got, expected, strict=True):
        np.testing.assert_allclose(layers, other, atol=atol, rtol=0)


@pytest.fixture(scope="module")
def network(make_network):
    return make_network(cell_clip=3.0, proj_clip=3.0)


@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(SENTENCES, st.integers(1, 40), st.randoms(use_true_random=False))
@example([[], ["a"], []], 4096, None)
def test_a_sentence_has_the_same_vectors_whatever_is_beside_it(
    network, sentences, max_batch_tokens, random
):
    """Alone, in one batch, in another order and in small batches."""
    alone = [embed(network, [words])[0] for words in sentences]
    assert [layers.shape for layers in alone] == [(3, len(words), 10) for words in sentences]
    assert_close(embed(network, sentences), alone)
    order = list(range(len(sentences)))
    if random is not None:
        random.shuffle(order)
    shuffled = embed(network, [sentences[i] for i in order], max_batch_tokens)
    assert_close(shuffled, [alone[i] for i in order])


def test_a_sentence_has_the_same_vectors_whatever_came_before_it(network, sentences):
    engine = Engine(network)
    with torch.no_grad():
        first = [engine([words])[0].numpy() for words in sentences]
        second = [engine([words])[0].numpy() for words in reversed(sentences)]
    assert_close(second[::-1], first)


def test_statefully_the_first_sentence_starts_from_zeros(network, sentences):
    first = embed(network, sentences[:1])
    assert_close(embed(network, sentences[:3], stateful=True)[:1], first)
    # Neither an earlier call nor an empty sentence is a sentence before it.
    assert_close(embed(network, [[], *sentences[:1]], stateful=True)[1:], first)


def test_statefully_a_sentence_depends_on_those_before_it(network):
    one = embed(network, [["a", "bank"], [], ["of", "a", "river"], ["a", "bank"]], stateful=True)
    other = embed(network, [["a", "bank"], ["river"], ["a", "bank"]], stateful=True)
    assert [layers.shape[1] for layers in one] == [2, 0, 3, 2]
    assert_close(one[:1], other[:1])
    assert_close([one[3][:1]], [one[0][:1]])  # the token encoder's layer knows no sentences
    for layers in (other[2], one[0]):
        assert np.abs(one[3][1:] - layers[1:]).max(axis=(1, 2)).min() > 1e-3


def test_statefully_sentences_are_one_text(network):
    """In the forward direction: the same as one sentence with the boundaries inside."""
    first, second = ["a", "bank"], ["of", "a", "river"]
    stateful = embed(network, [first, second], stateful=True)
    (joined,) = embed(network, [[*first, "</S>", "<S>", *second]])
    assert_close([stateful[1][:, :, :5]], [joined[:, 4:, :5]])


def test_words_have_context(network):
    one, other = embed(network, [["the", "bank", "lent"], ["a", "bank", "rose"]])
    np.testing.assert_array_equal(one[0, 1], other[0, 1])
    for layer in (1, 2):
        assert np.abs(one[layer, 1] - other[layer, 1]).max() > 1e-3


def test_equals_plain_loops(make_network, encode_by_hand, lstm_by_hand):
    """From strings to layers, with both boundaries around the sentence."""
    network = make_network(cell_clip=0.5, proj_clip=0.3, scale=2.0, activation="tanh").double()
    char_ids = np.full((4, 50), 260)
    char_ids[0, :3] = [258, 256, 259]
    char_ids[1, :4] = [258, *b"He", 259]
    char_ids[2, :5] = [258, *b"sat", 259]
    char_ids[3, :3] = [258, 257, 259]
    x = encode_by_hand(network.token_encoder, "tanh", char_ids)
    forward_1, _, _ = lstm_by_hand(network.forward_lstm.layers[0], x)
    forward_2, _, _ = lstm_by_hand(network.forward_lstm.layers[1], forward_1)
    backward_1, _, _ = lstm_by_hand(network.backward_lstm.layers[0], x[::-1])
    backward_2, _, _ = lstm_by_hand(network.backward_lstm.layers[1], backward_1)
    expected = [
        np.concatenate([x, x], axis=1),
        np.concatenate([forward_1, backward_1[::-1]], axis=1),
        np.concatenate([forward_1 + forward_2, (backward_1 + backward_2)[::-1]], axis=1),
    ]
    assert_close(embed(network, [["He", "sat"]]), [np.stack(expected)[:, 1:3]], atol=1e-12)


def test_no_sentences(network):
    assert embed(network, []) == []


def test_empty_sentences_have_no_words(network):
    layers = embed(network, [[], ["a"], []])
    assert [array.shape for array in layers] == [(3, 0, 10), (3, 1, 10), (3, 0, 10)]
    assert_close(layers[1:2], embed(network, [["a"]]))
    assert [array.shape for array in embed(network, [[]])] == [(3, 0, 10)]


@pytest.mark.parametrize("words", HARD_SENTENCES, ids=ascii)
def test_hard_words_have_finite_vectors_that_company_does_not_change(network, words):
    (alone,) = embed(network, [words])
    assert alone.shape == (3, len(words), 10)
    assert np.isfinite(alone).all()
    beside = embed(network, [["a", "b", "c"], words, *HARD_SENTENCES])[1]
    assert_close([beside], [alone])


def test_lone_surrogates_are_left_out(network):
    assert_close(embed(network, [["a\ud800b", "\udfff"]]), embed(network, [["ab", ""]]))


def test_nul_is_a_character(network):
    nul, empty = embed(network, [["\0"], [""]])
    assert np.abs(nul[0] - empty[0]).max() > 1e-3


def test_bytes_after_the_48th_change_nothing(network):
    start = "abcdefgh" * 6
    whole, longer = embed(network, [[start], [start + "ijk" * 3000]])
    assert_close([longer], [whole])
    assert np.abs(embed(network, [[start[:-1]]])[0] - whole).max() > 1e-4


def test_boundaries_as_words_are_boundaries(network):
    """``<S>`` has the vector of a sentence's begin, not that of its three characters."""
    encoder = network.token_encoder
    with torch.no_grad():
        begin = encoder(torch.tensor([[258, 256, 259, *[260] * 47]])).numpy()[0]
        end = encoder(torch.tensor([[258, 257, 259, *[260] * 47]])).numpy()[0]
    (layers,) = embed(network, [["<S>", "</S>"]])
    np.testing.assert_allclose(layers[0], [[*begin, *begin], [*end, *end]], atol=1e-5)


@pytest.mark.parametrize("max_batch_tokens", [1, 7, 30, 4096])
def test_batches_hold_at_most_so_many_tokens(network, sentences, max_batch_tokens):
    """Boundaries counted; only a sentence by itself may be longer."""
    batches = []

    def note(module, args):
        batches.append(args[2])

    with network.register_forward_pre_hook(note):
        embed(network, sentences, max_batch_tokens)
    assert all(len(batch) == 1 or sum(batch) <= max_batch_tokens for batch in batches)
    every_length = sorted(length for batch in batches for length in batch)
    assert every_length == sorted(len(words) + 2 for words in sentences)
    if max_batch_tokens == 4096:
        assert len(batches) == 1


def test_each_distinct_word_of_a_batch_is_encoded_once(network):
    rows = []

    def note(module, args):
        rows.append(len(args[0]))

    with network.token_encoder.register_forward_pre_hook(note):
        embed(network, [["no", "no", "no", "yes"], ["yes", "no"]])
    assert sum(rows) == 4  # both words and both boundaries


def test_forgotten_words_are_encoded_again(network):
    rows = []
    engine = Engine(network)
    engine.forget_words()  # none yet
    hook = network.token_encoder.register_forward_pre_hook(
        lambda _, args: rows.append(len(args[0]))
    )
    with hook, torch.no_grad():
        [before] = engine([["no", "yes"]])
        engine([["yes"]])
        assert sum(rows) == 4
        engine.forget_words()
        [after] = engine([["no", "yes"]])
    assert sum(rows) == 8
    assert torch.equal(before, after)


def test_words_may_pass_the_token_encoder_in_several_products(network, monkeypatch):
    words = [f"{'x' * (i % 11)}{i}" for i in range(40)]
    whole = embed(network, [words])
    monkeypatch.setattr(encoding, "WORDS_PER_PRODUCT", 7)
    assert_close(embed(network, [words]), whole)


def test_training_mode_changes_nothing(make_network, sentences):
    network = make_network()
    evaluated = embed(network.eval(), sentences)
    trained = embed(network.train(), sentences)
    for layers, other in zip(trained, evaluated, strict=True):
        np.testing.assert_array_equal(layers, other)


@pytest.mark.parametrize(
    "name",
    [
        "token_encoder.char_embedding.weight",
        "token_encoder.convolutions.0.weight",
        "token_encoder.convolutions.2.bias",
        "token_encoder.highways.0.carry.weight",
        "token_encoder.highways.0.transform.bias",
        "token_encoder.projection.weight",
        "forward_lstm.layers.0.weight_ih",
        "forward_lstm.layers.1.weight_hh",
        "backward_lstm.layers.0.weight_hr",
        "backward_lstm.layers.1.bias",
    ],
)
def test_gradients(make_network, name):
    """Against finite differences, through batches of several lengths."""
    network = make_network(
        cell_clip=0.9,
        proj_clip=0.8,
        activation="tanh",
        filters=((1, 2), (2, 2), (3, 2)),
        embedding_dim=2,
        dim=4,
        projection_dim=3,
    ).double()
    engine = Engine(network)
    sentences = [["a", "bank"], [], ["b"], ["of", "a", "river"]]

    def layers(value):
        parameters = {f"network.{name}": value}
        return torch.cat(
            functional_call(engine, parameters, (sentences,), {"max_batch_tokens": 9}), dim=1
        )

    value = network.get_parameter(name).detach().clone().requires_grad_()
    assert layers(value).requires_grad
    # fast_mode: a random direction instead of each value; the embedding has 522.
    assert torch.autograd.gradcheck(layers, (value,), fast_mode=True)


def test_every_parameter_has_a_gradient(make_network):
    engine = Engine(make_network(activation="tanh"))
    sum(layers.square().sum() for layers in engine([["a", "bank"], ["b"]])).backward()
    for name, parameter in engine.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("precision", ["float8", "float16", "FLOAT32", "", None])
def test_an_unknown_precision(make_network, precision):
    with pytest.raises(ValueError, match=f"precision '{precision}': .*'float32', .*'int8'"):
        Engine(make_network(), precision)


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_with_gradients_the_precision_is_the_networks(make_network, precision):
    """Also after vectors have been computed with another."""
    network = make_network()
    engine = Engine(network, precision)
    sentences = [["a", "bank"], [], ["of", "a", "river"]]
    exact = embed(network, sentences)
    for _ in range(2):
        recorded = engine(sentences)
        assert all(layers.requires_grad for layers in (recorded[0], recorded[2]))
        assert_close([layers.detach().numpy() for layers in recorded], exact, atol=1e-6)
        with torch.no_grad():
            rounded = engine(sentences)[0].numpy()
        assert 1e-4 < np.abs(rounded - exact[0]).max() < 0.1


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
def test_a_network_that_is_not_float32_keeps_its_own_precision(make_network, dtype, precision):
    network = make_network().to(dtype)
    with torch.no_grad():
        (layers,) = Engine(network, precision)([["a", "bank"]])
    (exact,) = Engine(network)([["a", "bank"]])
    assert torch.equal(layers, exact)
    assert (
        layers.dtype == exact.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    )
    exact.sum().backward()
    assert all(parameter.grad.dtype == dtype for parameter in network.parameters())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("stateful", [False, True])
def test_layers_of_half_precision_are_near_and_float32(make_network, dtype, stateful):
    network, sentences = make_network(), [["a", "bank"], [], ["of"]]
    exact = embed(network, sentences, stateful=stateful)
    rounded = embed(network.to(dtype), sentences, stateful=stateful)
    assert [layers.dtype for layers in rounded] == [np.float32] * 3
    assert_close(rounded, exact, atol=0.1)


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_each_precision_is_stateless_or_stateful(make_network, precision):
    network = make_network(scale=0.5)
    sentences = [["a", "bank"], [], ["of", "a", "river"], ["a", "bank"]]
    for stateful in (False, True):
        exact = embed(network, sentences, stateful=stateful)
        rounded = embed(network, sentences, stateful=stateful, precision=precision)
        assert_close(rounded, exact, atol=0.1)
        is_carried = np.abs(rounded[3] - rounded[0])[1:].max() > 1e-3
        assert is_carried == stateful


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("used", [False, True])
def test_a_forked_process_can_embed(make_network, used):
    """As under spaCy's n_process, after the parent has computed with several threads. used:
    whether it has embedded with them, too."""
    network = make_network(dim=64, projection_dim=32, scale=0.1)
    words = [["a", "bank"] * 20] * 20
    engine = Engine(network)

    def run():
        with torch.no_grad():
            return [layers.numpy() for layers in engine(words)]

    expected = embed(network, words)
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=lambda: sender.send(run()))
    n_threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        torch.ones(1_000_000).exp()  # starts the threads
        if used:
            assert_close(run(), expected)
        child.start()
        assert receiver.poll(20), "the child hangs"
        assert_close(receiver.recv(), expected)
        child.join(20)
        assert child.exitcode == 0
    finally:
        threads._pool.cache_clear()
        torch.set_num_threads(n_threads)
        if child.pid is not None:
            child.kill()
            child.join()


WARMED = """
import os, sys, torch
from spacy_elmo import BiLM
from spacy_elmo.bilm import Engine

torch.set_num_threads(4)
bilm = BiLM.load(sys.argv[1])
torch.ones(1_000_000).exp()  # starts PyTorch's threads
bilm.embed([["He", "sat"] * 20] * 20)

def unrelated():
    return torch.get_num_threads()

def embeds():
    bilm.embed([["He", "sat"] * 20] * 20)
    return torch.get_num_threads()

def loads():
    BiLM.load(sys.argv[1])
    torch.ones(1_000_000).exp()
    return torch.get_num_threads()

def learns():
    Engine(bilm.network)([["He", "sat"]])[0].sum().backward()
    return torch.get_num_threads()

def chooses():
    bilm.embed([["He"]])
    torch.set_num_threads(3)
    bilm.embed([["He"]])
    return torch.get_num_threads()

for work in (unrelated, embeds, loads, learns, chooses):
    child = os.fork()
    if not child:
        print(work.__name__, work(), flush=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
print("parent", torch.get_num_threads())
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_only_children_that_use_the_engine_get_one_thread(fixtures):
    """PyTorch's own number is kept by those that do something else."""
    command = [sys.executable, "-c", WARMED, str(fixtures / "plain" / "weights.hdf5")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines() == [
        "unrelated 4", "embeds 1", "loads 1", "learns 1", "chooses 3", "parent 4",
    ]  # fmt: skip
