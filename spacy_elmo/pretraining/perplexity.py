"""How well a biLM predicts a text, with the full softmax.

A sentence of n words makes n + 1 predictions in either direction, as in bilm-tf: forward, ``<S> w1
… wn`` predict ``w1 … wn </S>``; backward, ``</S> wn … w1`` predict ``wn … w1 <S>``. Perplexity
counts them all, also those of words that are not in the vocabulary, which stand for ``<UNK>``.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain, islice, pairwise
from typing import NamedTuple, Optional, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from ..bilm import BiLMNetwork
from ..bilm.batches import batches_by_tokens
from ..bilm.inference import Inference
from ..bilm.lstm import LSTMState
from ..bilm.network import LSTMStates
from ..bilm.packed_weight import linear, pack_weight
from ..bilm.step_order import StepOrder
from ..bilm.threads import side_by_side
from .token_store import TokenStore
from .vocabulary import Vocabulary

SORTED_SENTENCES = 4096  # so many are sorted by length at a time, for batches with little waste
WINDOW = 64  # tokens of each stream that are read together
MAX_STREAMS = 64
STREAM_SENTENCES = 50  # at least, so that a stream's begin from zeros hardly counts
# Logits of so many tokens and words exist at a time: 4 MB, which stay in the processor's cache.
BLOCK_TOKENS = 256
BLOCK_WORDS = 4096


class Softmax(Protocol):
    """weight: (n_words, projection_dim). bias: (n_words,)."""

    @property
    def weight(self) -> Tensor: ...
    @property
    def bias(self) -> Tensor: ...


class PredictsWords(Protocol):
    """A biLM with the softmax that it was trained with, such as ``LanguageModel``."""

    @property
    def network(self) -> BiLMNetwork: ...
    @property
    def softmax(self) -> Softmax: ...
    @property
    def vocabulary(self) -> Vocabulary: ...


class Sentences(Protocol):
    """The words of each sentence, without boundaries: a list, or something like one."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Sequence[str]: ...


class StoredSentences:
    """The sentences of a store, which are read as they are asked for.

    store: The store.
    n_sentences: How many; by default all.
    n_blocks: How many blocks of consecutive sentences they are taken in, which are spread evenly
        over the store. 1 takes the first sentences.
    """

    def __init__(
        self, store: TokenStore, n_sentences: Optional[int] = None, n_blocks: int = 1
    ) -> None:
        self.store, self.n_blocks = store, n_blocks
        n_stored = store.n_sentences
        self._n_sentences = n_stored if n_sentences is None else min(n_sentences, n_stored)

    def __len__(self) -> int:
        return self._n_sentences

    def __getitem__(self, index: int, /) -> list[str]:
        if index >= self._n_sentences:
            raise IndexError(index)
        # Blocks begin where _cut() lets streams begin, so that in a stream no sentence is missing.
        block = ((index + 1) * self.n_blocks - 1) // self._n_sentences
        n_left_out = self.store.n_sentences - self._n_sentences
        return self.store.sentence(index + block * n_left_out // self.n_blocks)


class Perplexity(NamedTuple):
    """How well a text was predicted: ``exp`` of the mean loss.

    forward, backward: Of each direction.
    n_sentences: Sentences of the text.
    n_tokens: Its words, without boundaries. In either direction, ``n_tokens + n_sentences`` were
        predicted.
    n_unknown: Words among them that are not in the vocabulary.
    """

    forward: float
    backward: float
    n_sentences: int
    n_tokens: int
    n_unknown: int

    @property
    def both(self) -> float:
        """The geometric mean of both directions, which is what bilm-tf reports."""
        return float(np.sqrt(self.forward) * np.sqrt(self.backward))


def perplexity(
    model: PredictsWords,
    sentences: Sentences,
    *,
    stateful: bool,
    n_streams: Optional[int] = None,
    max_batch_tokens: int = 4096,
) -> Perplexity:
    """The perplexity of a text.

    model: The biLM, float32, with its softmax.
    sentences: The text.
    stateful: Start each sentence where the one before it ended, in both directions, as in training
        and as bilm-tf reports it; or from zeros, as vectors are computed. Backward, the sentences
        come in the same order, and each is read from its end. As in training, the word that ends a
        sentence is predicted, but the LSTMs don't read it.
    n_streams: With ``stateful``, how many parts the text is cut into, which are read side by side;
        the first sentence of each starts from zeros. 1 is exact and slow. By default as many as
        leave each 50 sentences, at most 64. (bilm-tf deals the sentences out to 256 streams
        instead, so that those that follow each other in a stream don't in the text.)
    max_batch_tokens: Without ``stateful``, most tokens of a batch; bounds the memory.
    RAISES ValueError: There are no sentences.
    """
    n_sentences = len(sentences)
    if not n_sentences:
        raise ValueError("A text without sentences has no perplexity.")
    reader = _Reader(model, sentences)
    if stateful:
        n_streams = n_streams or streams_of(n_sentences)
        reader.read(_cut(n_sentences, n_streams), WINDOW)
    else:
        for batch in _batches(sentences, max_batch_tokens):
            reader.read(batch, None)
    mean_losses = np.array(reader.losses) / (reader.n_tokens + n_sentences)
    with np.errstate(over="ignore"):  # of a biLM that has diverged
        forward, backward = np.exp(mean_losses).tolist()
    return Perplexity(forward, backward, n_sentences, reader.n_tokens, reader.n_unknown)


def streams_of(n_sentences: int) -> int:
    """How many streams a text is cut into where the state is carried on."""
    return min(max(n_sentences // STREAM_SENTENCES, 1), MAX_STREAMS)


def _cut(n_sentences: int, n_streams: int) -> list[range]:
    """Streams of consecutive sentences, of which none is empty."""
    n_streams = min(max(n_streams, 1), n_sentences)
    bounds = [i * n_sentences // n_streams for i in range(n_streams + 1)]
    return [range(start, end) for start, end in pairwise(bounds)]


def _batches(sentences: Sentences, max_tokens: int) -> Iterator[list[range]]:
    """Streams of one sentence each, of which those of similar length are read together."""
    for start in range(0, len(sentences), SORTED_SENTENCES):
        indices = range(start, min(start + SORTED_SENTENCES, len(sentences)))
        lengths = {i: len(sentences[i]) + 1 for i in indices}
        by_length = sorted(indices, key=lengths.__getitem__)
        for batch in batches_by_tokens(by_length, lengths.__getitem__, max_tokens):
            yield [range(i, i + 1) for i in batch]


class _Token(NamedTuple):
    """word: What is read. target: The row of the softmax that should be predicted then."""

    word: str
    target: int


_Step = tuple[_Token, _Token]  # of both directions


class _Reader:
    """Reads streams of sentences and sums up the losses.

    model: The biLM.
    sentences: The text.
    """

    def __init__(self, model: PredictsWords, sentences: Sentences) -> None:
        self.losses = [0.0, 0.0]  # forward and backward, in nats
        self.n_tokens = self.n_unknown = 0
        self._sentences, self._vocabulary = sentences, model.vocabulary
        self._boundaries = model.network.config.char_cnn.boundaries
        self._inference = Inference(model.network, "float32")
        self._softmax = _FullSoftmax(model.softmax)
        self._device = model.softmax.weight.device

    def read(self, streams: list[range], window: Optional[int]) -> None:
        """Read sentences and add up what they lose.

        streams: The sentences of each stream, which starts from zeros.
        window: Tokens of a stream that are read together; None for all.
        """
        steps = [self._steps(stream) for stream in streams]
        states: list[Optional[LSTMStates]] = [None, None]
        # Inference mode is each thread's own: see Inference.
        with torch.inference_mode(False), torch.no_grad():
            while True:
                windows = [list(islice(stream, window)) for stream in steps]
                # The LSTMs want the longest first: those that go on, whose states they keep.
                order = sorted(range(len(steps)), key=lambda i: len(windows[i]), reverse=True)
                order = [i for i in order if windows[i]]
                if not order:
                    return
                starts = [state and _select(state, order) for state in states]
                states = self._read_windows([windows[i] for i in order], starts)
                steps = [steps[i] for i in order if len(windows[i]) == window]

    def _read_windows(
        self, windows: list[list[_Step]], starts: Sequence[Optional[LSTMStates]]
    ) -> list[Optional[LSTMStates]]:
        """windows: Of each stream, by falling length.
        starts: The states of both directions.
        RETURNS: Their states at the end of the longest windows at least."""
        steps = list(chain.from_iterable(windows))
        tokens = [[step[direction] for step in steps] for direction in range(2)]
        words = [token.word for token in chain.from_iterable(tokens)]
        table, rows = self._inference.words.look_up(words)
        step_order = StepOrder.from_lengths([len(window) for window in windows], self._device)
        network = self._inference.network

        def run(direction: int, stack: nn.Module) -> tuple[float, LSTMStates]:
            order = step_order.forward  # the backward direction is turned round already
            x = table[rows.view(2, -1)[direction].to(self._device)[order]]
            outputs, end = stack(x, step_order.batch_sizes, starts[direction])
            targets = torch.tensor([token.target for token in tokens[direction]]).to(self._device)
            return self._softmax.loss(outputs[-1], targets[order]), end

        results = side_by_side(
            [partial(run, 0, network.forward_lstm), partial(run, 1, network.backward_lstm)],
            self._device,
        )
        for direction, (loss, _) in enumerate(results):
            self.losses[direction] += loss
        return [end for _, end in results]

    def _steps(self, stream: range) -> Iterator[_Step]:
        begin, end = self._boundaries
        for i in stream:
            words = self._sentences[i]
            ids = self._vocabulary.ids(words)
            self.n_tokens += len(words)
            self.n_unknown += int((ids == self._vocabulary.unknown_id).sum())
            targets = [self._vocabulary.begin_id, *ids.tolist(), self._vocabulary.end_id]
            tokens = list(zip([begin, *words, end], targets))
            forward = (_Token(word, target) for (word, _), (_, target) in pairwise(tokens))
            backward = (_Token(word, target) for (word, _), (_, target) in pairwise(tokens[::-1]))
            yield from zip(forward, backward)


def _select(states: LSTMStates, streams: list[int]) -> LSTMStates:
    """The states of some streams, in another order."""
    return [LSTMState(state.hidden[streams], state.cell[streams]) for state in states]


class _FullSoftmax:
    """The softmax over all words.

    softmax: Its weights.
    """

    def __init__(self, softmax: Softmax) -> None:
        self._weight, self._bias = softmax.weight.detach(), softmax.bias.detach()
        blocks = zip(self._weight.split(BLOCK_WORDS), self._bias.split(BLOCK_WORDS))
        self._blocks = [(pack_weight(weight, "float32"), bias) for weight, bias in blocks]

    def loss(self, x: Tensor, targets: Tensor) -> float:
        """x: (n_tokens, projection_dim). targets: (n_tokens,).
        RETURNS: The sum of the tokens' losses, in nats."""
        total = 0.0
        for rows, ids in zip(x.split(BLOCK_TOKENS), targets.split(BLOCK_TOKENS)):
            right = (rows * self._weight[ids]).sum(dim=1) + self._bias[ids]
            parts = [linear(rows, weight, bias).logsumexp(dim=1) for weight, bias in self._blocks]
            losses = torch.stack(parts).logsumexp(dim=0) - right
            total += losses.double().sum().item()
        return total
