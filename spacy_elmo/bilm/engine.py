"""Runs the biLM over any number of sentences of any length."""

import os
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Optional

import torch
from torch import Tensor, nn

from .network import BiLMNetwork, LSTMStates

States = tuple[LSTMStates, LSTMStates]  # of both directions
WORDS_PER_PRODUCT = 512  # words that pass the token encoder together


class Engine(nn.Module):
    """Batches sentences for a network and takes the results apart again.

    Sentences of similar length run together, and each distinct word of a batch passes the token
    encoder once. Neither changes the result, so a sentence has the same vectors whatever it is
    batched with. Gradients flow unless the caller turns them off.

    network: The biLM.
    max_batch_tokens: Most tokens of one batch, sentence boundaries included; a longer sentence
        is a batch of its own. Bounds the memory that a batch takes.
    """

    def __init__(self, network: BiLMNetwork, max_batch_tokens: int = 4096) -> None:
        super().__init__()
        _use_one_thread_after_fork()
        self.network = network
        self.max_batch_tokens = max_batch_tokens

    def forward(self, sentences: Sequence[Sequence[str]], stateful: bool = False) -> list[Tensor]:
        """The layers of every word.

        sentences: The words of each sentence, without boundaries; may be empty.
        stateful: Start each sentence where the one before it ended, in both directions, as the
            reference implementations do, instead of from zeros. Then nothing is batched.
        RETURNS: For each sentence (n_layers + 1, n_words, 2 * projection_dim).
        """
        config = self.network.config
        empty = next(self.parameters()).new_zeros(config.n_layers, 0, config.width)
        results = [empty] * len(sentences)
        states = None
        batches: Iterable[list[int]] = self._batches(sentences)
        if stateful:
            batches = ([index] for index, words in enumerate(sentences) if len(words))
        for batch in batches:
            layers, states = self._run([sentences[i] for i in batch], states if stateful else None)
            for index, array in zip(batch, layers):
                results[index] = array
        return results

    def _batches(self, sentences: Sequence[Sequence[str]]) -> Iterator[list[int]]:
        """Indices of sentences that run together; empty sentences are left out."""
        batch: list[int] = []
        n_tokens = 0
        for index in sorted(range(len(sentences)), key=lambda i: len(sentences[i])):
            length = len(sentences[index]) + 2
            if batch and n_tokens + length > self.max_batch_tokens:
                yield batch
                batch, n_tokens = [], 0
            if len(sentences[index]):
                batch.append(index)
                n_tokens += length
        if batch:
            yield batch

    def _run(
        self, sentences: Sequence[Sequence[str]], states: Optional[States]
    ) -> tuple[list[Tensor], States]:
        begin, end = self.network.config.char_cnn.boundaries
        bounded = [(begin, *words, end) for words in sentences]
        tokens = [word for words in bounded for word in words]
        distinct = sorted(dict.fromkeys(tokens), key=len)
        rows = {word: row for row, word in enumerate(distinct)}
        encoded = self._encode_words(distinct)
        word_ids = torch.tensor([rows[word] for word in tokens], device=encoded.device)
        lengths = [len(words) for words in bounded]
        layers, states = self.network(encoded, word_ids, lengths, states)
        return [sentence[:, 1:-1] for sentence in layers.split(lengths, dim=1)], states

    def _encode_words(self, words: list[str]) -> Tensor:
        """words: Sorted by length, so that short ones need little padding.
        RETURNS: (n_words, projection_dim)."""
        token_encoder = self.network.token_encoder
        device = next(self.parameters()).device
        encoded = []
        for start in range(0, len(words), WORDS_PER_PRODUCT):
            ids = token_encoder.words_to_ids(words[start : start + WORDS_PER_PRODUCT])
            encoded.append(token_encoder(*(tensor.to(device) for tensor in ids)))
        return torch.cat(encoded)


@cache  # once a process
def _use_one_thread_after_fork() -> None:
    """PyTorch's thread pool does not survive a fork: a child of a process that has computed with
    several threads would wait for them forever (spaCy's n_process forks)."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))
