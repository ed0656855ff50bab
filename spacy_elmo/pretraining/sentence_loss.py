"""The loss of whole sentences, each read from a state of zeros."""

from collections.abc import Sequence
from functools import partial
from itertools import chain

import numpy as np
import torch
from torch import Tensor, nn

from ..bilm import BiLMNetwork
from ..bilm.encoding import encode_distinct
from ..bilm.step_order import StepOrder
from .softmax import LogUniformSampler, SampledSoftmax, Samples
from .vocabulary import Vocabulary


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
        words = chain((begin, end), *sentences)
        encoded, rows = encode_distinct(network.token_encoder, words, device)
        lengths = [len(words) + 1 for words in sentences]
        step_order = StepOrder.from_lengths(lengths, device)
        samples = self._sampler.sample(self.random)
        samples = Samples(samples.ids.to(device), samples.n_draws)

        drop = partial(nn.functional.dropout, p=dropout) if dropout > 0 else None
        losses = []
        for stack, first, last_id, way in (
            (network.forward_lstm, begin, self.vocabulary.end_id, 1),
            (network.backward_lstm, end, self.vocabulary.begin_id, -1),
        ):
            inputs: list[int] = []
            targets: list[int] = []
            for sentence in sentences:
                inputs += [rows[first], *(rows[word] for word in sentence[::way])]
                targets += [*self.vocabulary.ids(sentence[::way]).tolist(), last_id]
            # The words are turned round already: both directions are read "forward".
            order = step_order.forward
            outputs, _ = stack(
                nn.functional.embedding(torch.tensor(inputs, device=device)[order], encoded),
                step_order.batch_sizes,
                dropout=drop,
            )
            top = outputs[-1] if drop is None else drop(outputs[-1])
            targets_in_order = torch.tensor(targets, device=device)[order]
            losses.append(softmax.loss(top, targets_in_order, samples, self._sampler))
        return torch.stack(losses)
