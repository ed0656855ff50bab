"""The arrays of published weights (bilm-tf's variable names) and how a network's parameters
correspond to them. Every step is a permutation, so conversion in either direction is exact."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..bilm import BiLMConfig, CharCNNConfig
from ..bilm.characters import N_CHARACTERS
from .files import check_array, check_depth

_DIRECTIONS = ("forward_lstm", "backward_lstm")


def byte_cnn(config: BiLMConfig) -> CharCNNConfig:
    """The options of a token encoder of bytes.

    RAISES ValueError: The biLM has another one, which this layout has no place for.
    """
    if not isinstance(config.char_cnn, CharCNNConfig):
        raise ValueError(
            "The published HDF5 layout holds biLMs whose characters are bytes. This one has a "
            "lexicon, which only the native format can hold."
        )
    return config.char_cnn


def array_shapes(config: BiLMConfig) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the arrays that published weights with these options hold."""
    cnn, lstm = byte_cnn(config), config.lstm
    shapes: dict[str, tuple[int, ...]] = {"char_embed": (N_CHARACTERS, cnn.embedding.dim)}
    for i, (width, n_filters) in enumerate(cnn.filters):
        shapes[f"CNN/W_cnn_{i}"] = (1, width, cnn.embedding.dim, n_filters)
        shapes[f"CNN/b_cnn_{i}"] = (n_filters,)
    for i in range(cnn.n_highway):
        for gate in ("carry", "transform"):
            shapes[f"CNN_high_{i}/W_{gate}"] = (cnn.n_filters, cnn.n_filters)
            shapes[f"CNN_high_{i}/b_{gate}"] = (cnn.n_filters,)
    if cnn.n_filters != lstm.projection_dim:
        shapes["CNN_proj/W_proj"] = (cnn.n_filters, lstm.projection_dim)
        shapes["CNN_proj/b_proj"] = (lstm.projection_dim,)
    for cell, _ in _cells(config):
        shapes[f"{cell}/W_0"] = (2 * lstm.projection_dim, 4 * lstm.dim)
        shapes[f"{cell}/B"] = (4 * lstm.dim,)
        shapes[f"{cell}/W_P_0"] = (lstm.dim, lstm.projection_dim)
    return shapes


def cell_name(direction: int, layer: int) -> str:
    """The published name of an LSTM layer; direction 0 is forward, 1 backward."""
    return f"RNN_{direction}/RNN/MultiRNNCell/Cell{layer}/LSTMCell"


class Header(NamedTuple):
    """What is known of an array before it is read.

    shape: Its shape.
    dtype: The name of its type.
    """

    shape: tuple[int, ...]
    dtype: str


def check_headers(present: Mapping[str, Header], config: BiLMConfig, where: str) -> None:
    """Compare what a source has with what its options describe.

    present: The biLM's arrays, and nothing else.
    config: The options.
    where: The source, for the error.
    RAISES ValueError: An array is missing or of a wrong shape or type, or there are more arrays
        than the options describe.
    """
    check_depth(where, config, len(present))
    shapes = array_shapes(config)
    for name, shape in shapes.items():
        if name not in present:
            raise ValueError(
                f"{where}: array '{name}', of shape {shape} by the options, is missing. "
                "Do options and weights belong together?"
            )
        check_array(where, name, present[name].shape, shape, present[name].dtype, ("float32",))
    for name in present:
        if name not in shapes:
            raise ValueError(
                f"{where}: array '{name}' has no place in a biLM with these options "
                f"({config.lstm.n_layers} LSTM layers, {len(config.char_cnn.filters)} "
                f"convolutions, {config.char_cnn.n_highway} highway layers). "
                "Do options and weights belong together?"
            )


def arrays_to_parameters(arrays: Mapping[str, np.ndarray], config: BiLMConfig) -> dict[str, Tensor]:
    """arrays: Those of ``array_shapes(config)``, float32.
    RETURNS: The ``state_dict`` of a ``BiLMNetwork``."""
    parameters = {"char_embedding.weight": arrays["char_embed"]}
    for i in range(len(config.char_cnn.filters)):
        # (1, width, embedding, filters) -> (filters, embedding, width)
        parameters[f"convolutions.{i}.weight"] = arrays[f"CNN/W_cnn_{i}"][0].transpose(2, 1, 0)
        parameters[f"convolutions.{i}.bias"] = arrays[f"CNN/b_cnn_{i}"]
    for i in range(config.char_cnn.n_highway):
        for gate in ("carry", "transform"):
            parameters[f"highways.{i}.{gate}.weight"] = arrays[f"CNN_high_{i}/W_{gate}"].T
            parameters[f"highways.{i}.{gate}.bias"] = arrays[f"CNN_high_{i}/b_{gate}"]
    if "CNN_proj/W_proj" in arrays:
        parameters["projection.weight"] = arrays["CNN_proj/W_proj"].T
        parameters["projection.bias"] = arrays["CNN_proj/b_proj"]
    parameters = {f"token_encoder.{name}": array for name, array in parameters.items()}
    for cell, layer in _cells(config):
        inputs, recurrent = np.split(arrays[f"{cell}/W_0"], 2)
        parameters[f"{layer}.weight_ih"] = _swap_gates(inputs).T
        parameters[f"{layer}.weight_hh"] = _swap_gates(recurrent).T
        parameters[f"{layer}.bias"] = _swap_gates(arrays[f"{cell}/B"])
        parameters[f"{layer}.weight_hr"] = arrays[f"{cell}/W_P_0"].T
    return {
        name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in parameters.items()
    }


def parameters_to_arrays(
    parameters: Mapping[str, Tensor], config: BiLMConfig
) -> dict[str, np.ndarray]:
    """The inverse of ``arrays_to_parameters``.

    parameters: The ``state_dict`` of a ``BiLMNetwork`` on any device.
    RETURNS: The arrays of ``array_shapes(config)``.
    """
    values = {
        name.removeprefix("token_encoder."): tensor.detach().cpu().numpy()
        for name, tensor in parameters.items()
    }
    arrays = {"char_embed": values["char_embedding.weight"]}
    for i in range(len(config.char_cnn.filters)):
        arrays[f"CNN/W_cnn_{i}"] = values[f"convolutions.{i}.weight"].transpose(2, 1, 0)[None]
        arrays[f"CNN/b_cnn_{i}"] = values[f"convolutions.{i}.bias"]
    for i in range(config.char_cnn.n_highway):
        for gate in ("carry", "transform"):
            arrays[f"CNN_high_{i}/W_{gate}"] = values[f"highways.{i}.{gate}.weight"].T
            arrays[f"CNN_high_{i}/b_{gate}"] = values[f"highways.{i}.{gate}.bias"]
    if "projection.weight" in values:
        arrays["CNN_proj/W_proj"] = values["projection.weight"].T
        arrays["CNN_proj/b_proj"] = values["projection.bias"]
    for cell, layer in _cells(config):
        both = np.concatenate([values[f"{layer}.weight_ih"].T, values[f"{layer}.weight_hh"].T])
        arrays[f"{cell}/W_0"] = _swap_gates(both)
        arrays[f"{cell}/B"] = _swap_gates(values[f"{layer}.bias"])
        arrays[f"{cell}/W_P_0"] = values[f"{layer}.weight_hr"].T
    return arrays


def _cells(config: BiLMConfig) -> Iterator[tuple[str, str]]:
    """The published and our name of every LSTM layer."""
    for d, direction in enumerate(_DIRECTIONS):
        for i in range(config.lstm.n_layers):
            yield cell_name(d, i), f"{direction}.layers.{i}"


def _swap_gates(array: np.ndarray) -> np.ndarray:
    """Between TensorFlow's order of gates (input, cell, forget, output) and PyTorch's (input,
    forget, cell, output), along the last axis. Its own inverse."""
    input_, second, third, output = np.split(array, 4, axis=-1)
    return np.concatenate([input_, third, second, output], axis=-1)
