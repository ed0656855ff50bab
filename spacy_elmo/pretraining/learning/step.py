"""The loss of one batch and its gradients."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, Optional, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from ...bilm.network import LSTMStates, States
from ...bilm.threads import one_thread, side_by_side
from ..corpus import Batch
from .language_model import LanguageModel
from .sampled_softmax import LogUniformSampler, Samples

ResultT = TypeVar("ResultT")


class Losses(NamedTuple):
    """Mean loss of each direction, in nats a token, and the mean squared distance to the teacher's
    vectors, 0 without a teacher."""

    forward: float
    backward: float
    distillation: float = 0.0


class _Read(NamedTuple):
    """What a direction has read of a batch, and what led to it."""

    loss: Tensor
    layers: list[Tensor]  # that of the token encoder first
    parameters: list[nn.Parameter | Tensor]  # the words, the LSTMs', the softmax's weight and bias
    states: LSTMStates


class TrainingStep:
    """Computes gradients. Both directions run side by side, each forward and back, where there are
    two cores; they meet in the token encoder, which reads each distinct word once.

    model: What is trained.
    n_samples: Words of the sampled softmax.
    dropout: Share of each layer's inputs, and of what the words are predicted from, that become
        zero, as in bilm-tf.
    carry_state: Whether a sentence starts where its stream's last one ended (as in bilm-tf), or
        from zeros.
    mixed_precision: Whether matrix products are computed in bfloat16.
    seed: Of the random numbers, a number or several.
    """

    def __init__(
        self,
        model: LanguageModel,
        *,
        n_samples: int,
        dropout: float,
        carry_state: bool,
        mixed_precision: bool,
        seed: Sequence[int],
    ) -> None:
        self.model = model
        self.dropout, self.carry_state = dropout, carry_state
        self.mixed_precision = mixed_precision
        self.states: Optional[States] = None  # where the next windows start
        self.random = np.random.default_rng(seed)
        self.device = model.softmax.weight.device
        # One for each direction: threads that share one would take its numbers in any order.
        self.generators = [torch.Generator(self.device) for _ in range(2)]
        for generator, number in zip(
            self.generators, self.random.integers(2**63, size=2), strict=True
        ):
            generator.manual_seed(int(number))
        self._sampler = LogUniformSampler(len(model.vocabulary), n_samples)

    def __call__(self, batch: Batch) -> Losses:
        """Set the gradients of all parameters, of the mean loss of both directions, and move the
        states on to the end of the batch."""
        with one_thread() as self._n_threads:
            return self._compute(batch)

    def _compute(self, batch: Batch) -> Losses:
        network, softmax = self.model.network, self.model.softmax
        samples = self._sampler.sample(self.random)
        samples = Samples(samples.ids.to(self.device), samples.n_draws)
        encoded = self._side_by_side([partial(self._encode, half) for half in batch.words])
        words = torch.cat([half.detach() for half in encoded])
        stacks = [network.forward_lstm, network.backward_lstm]
        starts = self.states or (None, None)
        reading = [
            partial(self._read, i, stack, words, batch, samples, starts[i])
            for i, stack in enumerate(stacks)
        ]
        read = self._side_by_side(reading)
        distance, of_layers = self._distill(batch, [one.layers for one in read])
        forward, backward = self._side_by_side(
            [partial(_gradients, *pair) for pair in zip(read, of_layers, strict=True)]
        )
        self.states = None if batch.keep is None else (read[0].states, read[1].states)
        encoder_parameters = list(network.token_encoder.parameters())
        of_words = (forward[0] + backward[0]).split([*map(len, batch.words)])
        of_encoder = self._side_by_side(
            [
                partial(torch.autograd.grad, half, encoder_parameters, gradient)
                for half, gradient in zip(encoded, of_words, strict=True)
            ]
        )
        for parameter, *gradients in zip(encoder_parameters, *of_encoder, strict=True):
            parameter.grad = sum(gradients)
        for stack, of_way in zip(stacks, (forward, backward), strict=True):
            for parameter, gradient in zip(stack.parameters(), of_way[1:-2], strict=True):
                parameter.grad = gradient
        softmax.weight.grad = forward[-2] + backward[-2]
        softmax.bias.grad = forward[-1] + backward[-1]
        return Losses(read[0].loss.item(), read[1].loss.item(), distance)

    def _side_by_side(self, tasks: Sequence[Callable[[], ResultT]]) -> list[ResultT]:
        n_threads = self._n_threads
        return side_by_side(list(tasks), self.device, with_gradients=True, n_threads=n_threads)

    def _encode(self, words: list[str]) -> Tensor:
        encoder = self.model.network.token_encoder
        ids = [array.to(self.device) for array in encoder.words_to_ids(words)]
        with self._precision():
            return encoder(*ids).float()

    def _read(
        self,
        direction: int,
        stack: nn.Module,
        words: Tensor,
        batch: Batch,
        samples: Samples,
        start: Optional[LSTMStates],
    ) -> _Read:
        words = words.detach().requires_grad_()  # each direction its own
        inputs, targets = batch.inputs[direction], batch.targets[direction]
        dropout = self._dropout(direction)
        keep = None if self.carry_state or batch.keep is None else batch.keep.to(self.device)
        with self._precision():
            x = nn.functional.embedding(inputs.to(self.device), words)
            outputs, states = stack(x, batch.sizes, start, keep=keep, dropout=dropout)
            top = outputs[-1] if dropout is None else dropout(outputs[-1])
            softmax = self.model.softmax
            loss = softmax.loss(top, targets.to(self.device), samples, self._sampler)
        parameters = [words, *stack.parameters(), softmax.weight, softmax.bias]
        detached = [state._make(value.detach() for value in state) for state in states]
        return _Read(loss, [x, *outputs], parameters, detached)

    def _distill(
        self, batch: Batch, layers: list[list[Tensor]]
    ) -> tuple[float, list[list[Tensor]]]:
        """The teacher's part: sets the gradients of the map.

        layers: Of both directions.
        RETURNS: The distance, and the gradients of each direction's layers; none without lessons.
        """
        distillation, lessons = self.model.distillation, batch.lessons
        if distillation is None:
            return 0.0, [[], []]
        if lessons is None:  # a batch may have none
            for parameter in distillation.parameters():
                parameter.grad = torch.zeros_like(parameter)
            return 0.0, [[], []]
        both = [[layer.detach().requires_grad_() for layer in way] for way in layers]
        known = [
            layer[rows]
            for way, rows in zip(both, lessons.rows.to(self.device), strict=True)
            for layer in way
        ]
        with self._precision():
            distance = distillation(known, lessons.targets.to(self.device))
        parameters = list(distillation.parameters())
        inputs = [*both[0], *both[1], *parameters]
        gradients = torch.autograd.grad(distillation.weight * distance, inputs)
        n = len(both[0])
        for parameter, gradient in zip(parameters, gradients[2 * n :], strict=True):
            parameter.grad = gradient
        return distance.item(), [list(gradients[:n]), list(gradients[n : 2 * n])]

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed_precision)

    def _dropout(self, direction: int) -> Optional[Callable[[Tensor], Tensor]]:
        kept = 1.0 - self.dropout
        generator = self.generators[direction]

        def dropout(x: Tensor) -> Tensor:
            return x * torch.empty_like(x).bernoulli_(kept, generator=generator).div_(kept)

        return dropout if self.dropout > 0 else None


def _gradients(read: _Read, of_layers: list[Tensor]) -> tuple[Tensor, ...]:
    """The gradients of a direction's parameters.

    of_layers: Those of its layers that the teacher gives; empty without one.
    """
    if not of_layers:
        return torch.autograd.grad(read.loss / 2, read.parameters)
    return torch.autograd.grad(
        [read.loss / 2, *read.layers], read.parameters, [torch.ones_like(read.loss), *of_layers]
    )
