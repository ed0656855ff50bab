"""The loss of whole sentences, each read from a state of zeros."""

from collections.abc import Sequence
from functools import partial
from itertools import chain

import numpy as np
import torch
from torch import Tensor, nn

from ...bilm import BiLMNetwork
from ...bilm.inference import WORDS_PER_PRODUCT
from ...bilm.packing import Packing
from ..corpus import Vocabulary
from .sampled_softmax import LogUniformSampler, SampledSoftmax, Samples


class SentenceLoss:
    """Predicts every word of sentences, and their ends: a sentence of n words makes n + 1
    predictions in either direction, as in bilm-tf. Unlike ``TrainingStep``, it carries nothing from
    sentence to sentence, and leaves gradients to the caller.

    vocabulary: The words to be predicted.
    n_samples: Words of the sampled softmax.
    random: Where samples come from. Dropout takes PyTorch's random numbers.
    """

    def __init__(self, vocabulary: Vocabulary, n_samples: int, random: np.random.Generator) -> None:
        self.vocabulary = vocabulary
        self.random = random
        self._sampler = LogUniformSampler(len(vocabulary), n_samples)

    def __call__(
        self,
        network: BiLMNetwork,
        softmax: SampledSoftmax,
        sentences: Sequence[Sequence[str]],
        dropout: float,
    ) -> Tensor:
        """network: The biLM.
        softmax: Of the vocabulary's words.
        sentences: The words of each, without boundaries; at least one sentence.
        dropout: Share of each LSTM layer's inputs, and of what the words are predicted from, that
            become zero, as in bilm-tf.
        RETURNS: (2,) mean loss of forward and backward direction, in nats a prediction.
        """
        device = softmax.weight.device
        begin, end = network.config.char_cnn.boundaries
        # Not a set: its order would change from run to run, and sums with it.
        distinct = sorted(dict.fromkeys(chain((begin, end), *sentences)), key=len)
        encoded = _encode(network, distinct, device)
        rows = {word: row for row, word in enumerate(distinct)}
        packing = Packing.from_lengths([len(words) + 1 for words in sentences], device)
        samples = self._sampler.sample(self.random)
        samples = Samples(samples.ids.to(device), samples.n_draws)

        drop = partial(nn.functional.dropout, p=dropout) if dropout > 0 else None
        losses = []
        for stack, first, last_id, order in (
            (network.forward_lstm, begin, self.vocabulary.end_id, 1),
            (network.backward_lstm, end, self.vocabulary.begin_id, -1),
        ):
            inputs: list[int] = []
            targets: list[int] = []
            for words in sentences:
                inputs += [rows[first], *(rows[word] for word in words[::order])]
                targets += [*self.vocabulary.ids(words[::order]).tolist(), last_id]
            # The words are turned round already: both directions are packed as "forward".
            packed = packing.forward
            outputs, _ = stack(
                nn.functional.embedding(torch.tensor(inputs, device=device)[packed], encoded),
                packing.batch_sizes,
                dropout=drop,
            )
            top = outputs[-1] if drop is None else drop(outputs[-1])
            packed_targets = torch.tensor(targets, device=device)[packed]
            losses.append(softmax.loss(top, packed_targets, samples, self._sampler))
        return torch.stack(losses)


def _encode(network: BiLMNetwork, words: list[str], device: torch.device) -> Tensor:
    """words: By their length, so that short ones need little padding.
    RETURNS: (n_words, projection_dim)."""
    encoder = network.token_encoder
    encoded = []
    for start in range(0, len(words), WORDS_PER_PRODUCT):
        ids = encoder.words_to_ids(words[start : start + WORDS_PER_PRODUCT])
        encoded.append(encoder(*(array.to(device) for array in ids)))
    return torch.cat(encoded)
