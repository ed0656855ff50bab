"""The floor under inference and training: the multiply-adds that a biLM needs, and how many the
machine makes in a second."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Optional

import torch

from spacy_elmo.bilm import BiLMConfig, BiLMNetwork, Precision
from spacy_elmo.bilm.kernels import has_onednn, product
from spacy_elmo.bilm.packed_weight import linear, pack_weight
from spacy_elmo.bilm.threads import side_by_side

SHAPES = (  # rows, width of input, width of output
    (512, 1024, 1024),
    (512, 4096, 512),
    (128, 512, 4096),
    (128, 512, 16384),
    (1024, 2048, 2048),
)
ATTEMPTS, CALLS = 3, 4  # the best of so many attempts, each of so many products


def of_lstms(config: BiLMConfig) -> int:
    """Multiply-adds of a token in all LSTM layers of both directions: four gates from input and
    state, then the projection. Products only."""
    lstm = config.lstm
    return 2 * lstm.n_layers * (4 * lstm.dim * 2 + lstm.dim) * lstm.projection_dim


def of_softmax(config: BiLMConfig, n_samples: int) -> int:
    """Multiply-adds of a token in the sampled softmax of both directions: the right word and the
    samples."""
    return 2 * (1 + n_samples) * config.lstm.projection_dim


def of_encoder(config: BiLMConfig, n_characters: int) -> int:
    """Multiply-adds of a word of so many characters, with padding, in the token encoder."""
    cnn = config.char_cnn
    embedding = getattr(cnn, "embedding", None) or cnn.characters
    convolutions = sum(
        (n_characters - width + 1) * width * embedding.dim * n_filters
        for width, n_filters in cnn.filters
    )
    highways = 2 * cnn.n_highway * cnn.n_filters**2
    return convolutions + highways + cnn.n_filters * config.lstm.projection_dim


def of_distinct_words(network: BiLMNetwork, words: Sequence[str]) -> int:
    """Multiply-adds of the token encoder for words without repetition, each with as little padding
    as gives the same result."""
    lengths = [network.token_encoder.words_to_ids([word])[0].shape[1] for word in words]
    return sum(of_encoder(network.config, length) for length in lengths)


def peak(precision: Optional[Precision]) -> float:
    """The most multiply-adds a second of all threads: the best of several shapes, as one product
    of all threads or as two side by side.

    precision: Of the packed kernels; None for ``torch.mm`` in float32.
    """
    with torch.inference_mode():
        return max(
            _speed(_product(shape, precision), shape, n_tasks)
            for shape in SHAPES
            for n_tasks in (1, 2)
        )


def training_shapes(
    config: BiLMConfig, batch_size: int, n_steps: int, n_samples: int, block_tokens: int
) -> list[tuple[int, int, int, int]]:
    """The matrix products of one direction of a training step, forward and back, without the token
    encoder: rows, width of input, width of output, and how often.

    block_tokens: Tokens whose logits are computed together.
    """
    width, cells, gates = config.lstm.projection_dim, config.lstm.dim, 4 * config.lstm.dim
    n_tokens = batch_size * n_steps
    layer = [
        (n_tokens, width, gates, 1),  # the inputs' part of the gates
        (batch_size, width, gates, n_steps),  # the states' part
        (batch_size, cells, width, n_steps),  # the projection
        (batch_size, width, cells, n_steps),  # gradients of these, last first
        (batch_size, gates, width, n_steps),
        (n_tokens, gates, width, 1),
        (gates, n_tokens, width, 2),  # gradients of the weights
        (width, n_tokens, cells, 1),
    ]
    softmax = [
        (block_tokens, width, n_samples, n_tokens // block_tokens),
        (n_tokens, n_samples, width, 1),
        (n_samples, n_tokens, width, 1),
    ]
    return layer * config.lstm.n_layers + softmax


def seconds_of_training(shapes: Sequence[tuple[int, int, int, int]], dtype: torch.dtype) -> float:
    """How long a step's products take by themselves, both directions side by side, on weights that
    are not packed. shapes: Of ``training_shapes``."""
    onednn = dtype == torch.float32 and has_onednn(torch.device("cpu"), "float32")
    operands = [
        (torch.randn(rows, n_in, dtype=dtype), torch.randn(n_out, n_in, dtype=dtype), times)
        for rows, n_in, n_out, times in shapes
    ]

    def direction() -> None:
        for x, weight, times in operands:
            for _ in range(times):
                product(x, weight, onednn)

    with torch.inference_mode():
        return _best_seconds(direction, 2)


def _product(
    shape: tuple[int, int, int], precision: Optional[Precision]
) -> Callable[[], torch.Tensor]:
    rows, n_in, n_out = shape
    x, weight = torch.randn(rows, n_in), torch.randn(n_out, n_in)
    if precision is None:
        return partial(torch.mm, x, weight.t())
    return partial(linear, x, pack_weight(weight, precision))


def _speed(product: Callable[[], torch.Tensor], shape: tuple[int, int, int], n_tasks: int) -> float:
    def task() -> None:
        for _ in range(CALLS):
            product()

    rows, n_in, n_out = shape
    return n_tasks * CALLS * rows * n_in * n_out / _best_seconds(task, n_tasks)


def _best_seconds(task: Callable[[], None], n_tasks: int) -> float:
    """How long a task takes that runs so often side by side: the best of several attempts."""
    seconds = []
    for _ in range(1 + ATTEMPTS):
        start = time.perf_counter()
        side_by_side([task] * n_tasks, torch.device("cpu"))
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:])
