"""Computing layers without gradients, as fast as the hardware allows."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Optional

import torch
from torch import Tensor

from .encoding import encode
from .kernels import Precision
from .network import BiLMNetwork, States
from .packed_network import pack_network
from .threads import side_by_side
from .word_memory import WordMemory

MEMORY_BYTES = 2**26  # of the vectors of words that are remembered


class Inference:
    """A network's weights, packed for one precision, and the words they have encoded.

    network: The biLM, float32. What needs no packing is shared with it; when a weight changes, this
        is made anew (see ``is_of``).
    precision: What matrix products are computed in.

    Its attribute ``network`` is the network with packed weights, and ``words`` remembers the words
    that have been encoded. Who uses them by themselves does so outside of inference mode, without
    gradients.
    """

    def __init__(self, network: BiLMNetwork, precision: Precision) -> None:
        self._versions = _versions(network)
        # As long as these are held, no other weights can have their addresses.
        self._weights = [parameter.detach() for parameter in network.parameters()]
        self._device = self._weights[0].device
        with torch.no_grad():
            self.network = pack_network(network, precision)
        self.words = WordMemory(self._encode, MEMORY_BYTES)

    def __reduce__(self) -> Any:
        return type(None), ()  # a copied network's weights lie elsewhere, and are packed anew

    def is_of(self, network: BiLMNetwork) -> bool:
        """Whether the network's weights are still those that were packed."""
        return self._versions == _versions(network)

    def __call__(
        self, tokens: Sequence[str], lengths: Sequence[int], states: Optional[States]
    ) -> tuple[Tensor, States]:
        """The layers of every token. As ``BiLMNetwork.forward``, but for words instead of their
        encodings.

        tokens: The words of all sentences, one sentence after the other, with boundaries.
        """
        # Inference mode is each thread's own, and what is made in it can't be written to outside:
        # not by threads that share the work, nor by later calls that use the same memory of words.
        with torch.inference_mode(False), torch.no_grad():
            table, rows = self.words.look_up(tokens)
            return self.network(table, rows.to(self._device), lengths, states)

    def forget_words(self) -> None:
        """Forget the words that have been encoded, but not the packed weights."""
        self.words.forget()

    def prepare(self, words: Iterable[str]) -> None:
        """Encode words that are about to be needed: many together take less time than batch by
        batch. Does nothing if they don't fit into the memory.

        words: Any words, also several times.
        """
        distinct = list(dict.fromkeys(words))
        row_bytes = 4 * self.network.config.lstm.projection_dim
        if len(distinct) * row_bytes <= MEMORY_BYTES:
            with torch.inference_mode(False), torch.no_grad():  # see __call__
                self.words.look_up(distinct)

    def _encode(self, words: list[str]) -> Tensor:
        """RETURNS: (n_words, projection_dim)."""
        # Words of similar length share a product, so that short ones need little padding.
        order = sorted(range(len(words)), key=lambda i: len(words[i]))
        shares = [order[::2], order[1::2]] if len(words) > 1 else [order]
        parts = side_by_side(
            [
                partial(encode, self.network.token_encoder, [words[i] for i in share], self._device)
                for share in shares
            ],
            self._device,
        )
        encoded = torch.cat(parts)
        result = torch.empty_like(encoded)
        result[[i for share in shares for i in share]] = encoded
        return result


def _versions(network: BiLMNetwork) -> list[tuple[int, int]]:
    """Changes whenever a weight is changed in place or replaced. Of weights that were made in
    inference mode, PyTorch counts no changes."""
    return [
        (weight.data_ptr(), 0 if weight.is_inference() else weight._version)
        for weight in network.parameters()
    ]
