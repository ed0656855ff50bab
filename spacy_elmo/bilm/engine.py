"""Runs the biLM over any number of sentences of any length."""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Optional, get_args

import torch
from torch import Tensor, nn

from .batches import batches_by_tokens
from .encoding import encode_distinct
from .inference import Inference
from .kernels import Precision
from .network import BiLMNetwork, States
from .threads import use_one_thread_if_forked


class Engine(nn.Module):
    """Batches sentences for a network and takes the results apart again.

    Sentences of similar length run together, and each distinct word of a batch passes the token
    encoder once. Neither changes the result, so a sentence has the same vectors whatever it is
    batched with.

    With gradients, the network itself computes, in its own precision. Where they are turned off,
    its weights are packed for the kernels of the processor, and packed anew after PyTorch has
    changed them. Whoever changes them behind PyTorch's back (through NumPy, or ``.data``) calls
    ``forget``.

    network: The biLM.
    precision: Of matrix products without gradients. A network that isn't float32 keeps its own.
    RAISES ValueError: An unknown precision.
    """

    def __init__(self, network: BiLMNetwork, precision: Precision = "float32") -> None:
        super().__init__()
        if precision not in get_args(Precision):
            known = ", ".join(f"'{name}'" for name in get_args(Precision))
            raise ValueError(f"Unknown precision '{precision}': use one of {known}.")
        self.network = network
        self.precision = precision
        self._inference: Optional[Inference] = None

    def forward(
        self,
        sentences: Sequence[Sequence[str]],
        *,
        max_batch_tokens: int = 4096,
        stateful: bool = False,
    ) -> list[Tensor]:
        """The layers of every word.

        sentences: The words of each sentence, without boundaries; may be empty.
        max_batch_tokens: Most tokens of one batch, sentence boundaries included; a longer
            sentence is a batch of its own. Bounds the memory that a batch takes.
        stateful: Start each sentence where the one before it ended, in both directions, as the
            reference implementations do, instead of from zeros. Then nothing is batched.
        RETURNS: For each sentence (n_layers + 1, n_words, 2 * projection_dim), float32, also of a
            network in half precision; float64 of one in float64.
        """
        use_one_thread_if_forked()
        config = self.network.config
        weight = next(self.parameters())
        dtype = torch.promote_types(weight.dtype, torch.float32)
        empty = weight.new_zeros(config.n_layers, 0, config.width, dtype=dtype)
        results = [empty] * len(sentences)
        inference = self._current_inference()
        if inference is not None:
            inference.prepare(chain(config.char_cnn.boundaries, *sentences))
        states = None
        batches: Iterable[list[int]]
        filled = [index for index, words in enumerate(sentences) if len(words)]
        if stateful:
            batches = ([index] for index in filled)
        else:
            filled.sort(key=lambda index: len(sentences[index]))
            batches = batches_by_tokens(
                filled, lambda index: len(sentences[index]) + 2, max_batch_tokens
            )
        for batch in batches:
            start = states if stateful else None
            layers, states = self._run(inference, [sentences[i] for i in batch], start)
            for index, array in zip(batch, layers, strict=True):
                results[index] = array.to(dtype)
        return results

    def forget(self) -> None:
        """Drop what was made of the weights as they were."""
        self._inference = None

    def forget_words(self) -> None:
        """Drop the token encoder's output for the words seen so far, but not the packed weights.
        The next sentences take as long as the first ones did, and get the same vectors."""
        if self._inference is not None:
            self._inference.forget_words()

    def _current_inference(self) -> Optional[Inference]:
        """What computes without gradients, for the weights as they are; None where the network
        itself has to."""
        if torch.is_grad_enabled() or next(self.parameters()).dtype != torch.float32:
            return None
        inference = self._inference  # another thread may replace it
        if inference is None or not inference.is_of(self.network):
            self._inference = inference = None  # its memory first
            self._inference = inference = Inference(self.network, self.precision)
        return inference

    def _run(
        self,
        inference: Optional[Inference],
        sentences: Sequence[Sequence[str]],
        states: Optional[States],
    ) -> tuple[list[Tensor], States]:
        begin, end = self.network.config.char_cnn.boundaries
        tokens = [word for words in sentences for word in (begin, *words, end)]
        lengths = [len(words) + 2 for words in sentences]
        if inference is None:
            layers, states = self._run_exactly(tokens, lengths, states)
        else:
            layers, states = inference(tokens, lengths, states)
        return [sentence[:, 1:-1] for sentence in layers.split(lengths, dim=1)], states

    def _run_exactly(
        self, tokens: Sequence[str], lengths: Sequence[int], states: Optional[States]
    ) -> tuple[Tensor, States]:
        """With gradients, if they are wanted."""
        device = next(self.parameters()).device
        encoded, rows = encode_distinct(self.network.token_encoder, tokens, device)
        word_ids = torch.tensor([rows[word] for word in tokens], device=device)
        return self.network(encoded, word_ids, lengths, states)
