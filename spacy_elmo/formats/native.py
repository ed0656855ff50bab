"""The native layout: ``config.json`` (the fields of ``options.json``) and ``model.safetensors``
(the network's ``state_dict``), in a directory, or the tensors alone as bytes."""

from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save
from torch import Tensor

from ..bilm import BiLMConfig, BiLMNetwork
from .files import (
    build_network,
    check_array,
    check_finite,
    check_names,
    read_config,
    replacing,
)

CONFIG_NAME = "config.json"
WEIGHTS_NAME = "model.safetensors"

DType = Literal["float16", "float32"]


def read_native(directory: Path) -> BiLMNetwork:
    """Read a biLM from its native directory. Weights that are stored in half precision become
    float32.

    directory: Holds ``config.json`` and ``model.safetensors``.
    RAISES ValueError: A file is missing or damaged, or an array is missing, unknown, of a
        wrong shape or type, or not finite.
    """
    config = read_config(directory / CONFIG_NAME)
    path = directory / WEIGHTS_NAME
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path}: not a readable safetensors file: {error}") from error
    return _network(config, tensors, str(path))


def write_native(network: BiLMNetwork, directory: Path, dtype: DType = "float32") -> None:
    """Write a biLM to its native directory.

    network: The biLM.
    directory: Created if need be; older files of the two names are replaced.
    dtype: How to store the weights.
    RAISES ValueError: A weight is too large for half precision.
    """
    weights = _save(network, dtype)
    config = (network.config.model_dump_json(indent=2) + "\n").encode()
    with (
        replacing(directory / CONFIG_NAME) as new_config,
        replacing(directory / WEIGHTS_NAME) as new_weights,
    ):
        new_weights.write_bytes(weights)
        new_config.write_bytes(config)


def network_to_bytes(network: BiLMNetwork) -> bytes:
    """The weights in float32; ``network.config`` has to be kept beside them."""
    return _save(network, "float32")


def network_from_bytes(config: BiLMConfig, weights: bytes) -> BiLMNetwork:
    """The inverse of ``network_to_bytes``.

    RAISES ValueError: The bytes are damaged or don't fit the options.
    """
    try:
        tensors = load(weights)
    except SafetensorError as error:
        raise ValueError(f"Serialized biLM: not readable as safetensors: {error}") from error
    return _network(config, tensors, "Serialized biLM")


def _save(network: BiLMNetwork, dtype: DType) -> bytes:
    tensors = {
        name: tensor.detach().cpu().to(getattr(torch, dtype)).contiguous()
        for name, tensor in network.state_dict().items()
    }
    for name, tensor in tensors.items():
        check_finite(f"A biLM in {dtype}", name, tensor.numpy())
    return save(tensors, metadata={"format": "pt"})


def _network(config: BiLMConfig, tensors: dict[str, Tensor], where: str) -> BiLMNetwork:
    with torch.device("meta"):
        expected = {name: tuple(t.shape) for name, t in BiLMNetwork(config).state_dict().items()}
    check_names(where, tensors, expected)
    parameters = {}
    for name, tensor in tensors.items():
        dtype = str(tensor.dtype).removeprefix("torch.")
        check_array(where, name, tuple(tensor.shape), expected[name], dtype, ("float32", "float16"))
        parameters[name] = tensor.float()
        check_finite(where, name, parameters[name].numpy())
    return build_network(config, parameters)
