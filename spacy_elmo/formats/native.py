"""The native layout: ``config.json`` (the fields of ``options.json``) and ``model.safetensors``
(the network's ``state_dict``), in a directory, or the tensors alone as bytes. Where the softmax is
kept, ``vocabulary.txt`` and ``softmax.safetensors`` stand beside them."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Literal, Optional

import torch
from torch import Tensor

from ..bilm import BiLMConfig, BiLMNetwork
from .digest import digest
from .files import (
    build_network,
    check_array,
    check_depth,
    check_finite,
    check_names,
    options_bytes,
    read_config,
    replacing,
)
from .quantized import dequantize, quantize
from .softmax import SoftmaxWeights, check_softmax, read_words, words_to_bytes
from .tensors import Stored, read_tensors, tensors_from_bytes, tensors_to_bytes

CONFIG_NAME = "config.json"
WEIGHTS_NAME = "model.safetensors"
SOFTMAX_NAME = "softmax.safetensors"
VOCABULARY_NAME = "vocabulary.txt"

DType = Literal["float16", "float32"]
StoredDType = Literal["int8", "float16", "float32"]


def read_native(directory: Path) -> BiLMNetwork:
    """Read a biLM from its native directory. Weights that are stored in half precision or in 8 bits
    become float32.

    directory: Holds ``config.json`` and ``model.safetensors``.
    RAISES ValueError: A file is missing or damaged, or an array is missing, unknown, of a
        wrong shape or type, or not finite.
    """
    config = read_config(directory / CONFIG_NAME)
    path = directory / WEIGHTS_NAME
    return _network(config, read_tensors(path), str(path))


def read_native_softmax(directory: Path) -> Optional[SoftmaxWeights]:
    """Read the softmax of a native directory.

    directory: As ``read_native`` takes it.
    RETURNS: None if the directory has none.
    RAISES ValueError: A file is missing or damaged, or an array is missing, unknown, of a wrong
        shape or type, or not finite, or vocabulary and softmax don't fit together.
    """
    path = directory / SOFTMAX_NAME
    if not path.exists():
        return None
    words = read_words(directory / VOCABULARY_NAME)
    projection_dim = read_config(directory / CONFIG_NAME).lstm.projection_dim
    stored = read_tensors(path)
    tensors = dequantize(stored.tensors, str(path))
    softmax = check_softmax(str(path), tensors, words, projection_dim)
    _check_companion(str(path), stored, words_to_bytes(words), f"those in {VOCABULARY_NAME}")
    return softmax


def write_native(
    network: BiLMNetwork,
    directory: Path,
    dtype: StoredDType = "float32",
    softmax: Optional[SoftmaxWeights] = None,
) -> None:
    """Write a biLM to its native directory.

    network: The biLM.
    directory: Created if need be; older files of the same names are replaced. The softmax of an
        older biLM is removed.
    dtype: How to store the weights; "int8" has a scale for each row of a matrix.
    softmax: The biLM's softmax, to be kept beside it.
    RAISES ValueError: A weight is too large for half precision or not finite, or the softmax
        doesn't fit the biLM.
    """
    files: dict[str, bytes] = {}
    if softmax is not None:
        where = f"A softmax in {dtype}"
        tensors = {"weight": softmax.weight.detach().cpu(), "bias": softmax.bias.detach().cpu()}
        check_softmax(where, tensors, softmax.words, network.config.lstm.projection_dim)
        files[SOFTMAX_NAME] = _save(tensors, dtype, where, words_to_bytes(softmax.words))
        files[VOCABULARY_NAME] = words_to_bytes(softmax.words)
    files[CONFIG_NAME] = (network.config.model_dump_json(indent=2) + "\n").encode()
    files[WEIGHTS_NAME] = _save_network(network, dtype)
    with ExitStack() as stack:  # what is entered first is renamed last
        for name, content in files.items():
            stack.enter_context(replacing(directory / name)).write_bytes(content)
        # At no moment does a softmax stand beside another biLM than its own.
        if (directory / SOFTMAX_NAME).exists():
            (directory / SOFTMAX_NAME).unlink()
            (directory / VOCABULARY_NAME).unlink(missing_ok=True)


def network_to_bytes(network: BiLMNetwork) -> bytes:
    """The weights in float32; ``network.config`` has to be kept beside them."""
    return _save_network(network, "float32")


def network_from_bytes(config: BiLMConfig, weights: bytes) -> BiLMNetwork:
    """The inverse of ``network_to_bytes``.

    RAISES ValueError: The bytes are damaged or don't fit the options.
    """
    where = "Serialized biLM"
    return _network(config, tensors_from_bytes(weights, where), where)


def _save_network(network: BiLMNetwork, dtype: StoredDType) -> bytes:
    options = options_bytes(network.config)
    return _save(network.state_dict(), dtype, f"A biLM in {dtype}", options)


def _save(tensors: Mapping[str, Tensor], dtype: StoredDType, where: str, companion: bytes) -> bytes:
    tensors = {name: tensor.detach().cpu() for name, tensor in tensors.items()}
    for name, tensor in tensors.items():
        check_finite(where, name, tensor.numpy())
    if dtype == "int8":
        stored = quantize(tensors)
    else:
        stored = {name: tensor.to(getattr(torch, dtype)) for name, tensor in tensors.items()}
    for name, tensor in stored.items():  # half precision holds no large numbers
        check_finite(where, name, tensor.numpy())
    return tensors_to_bytes({name: t.contiguous() for name, t in stored.items()}, companion)


def _network(config: BiLMConfig, stored: Stored, where: str) -> BiLMNetwork:
    tensors = dequantize(stored.tensors, where)
    check_depth(where, config, len(tensors))
    with torch.device("meta"):
        expected = {name: tuple(t.shape) for name, t in BiLMNetwork(config).state_dict().items()}
    check_names(where, tensors, expected)
    parameters = {}
    for name, tensor in tensors.items():
        dtype = str(tensor.dtype).removeprefix("torch.")
        check_array(where, name, tuple(tensor.shape), expected[name], dtype, ("float32", "float16"))
        parameters[name] = tensor.float()
        if not stored.is_verified:  # what is written is checked before
            check_finite(where, name, parameters[name].numpy())
    _check_companion(where, stored, options_bytes(config), "the options that stand beside them")
    return build_network(config, parameters)


def _check_companion(where: str, stored: Stored, companion: bytes, what: str) -> None:
    """RAISES ValueError: What stands beside tensors isn't what was written with them."""
    if stored.companion not in (None, digest(companion)):
        raise ValueError(
            f"{where}: was not written with {what} (by their digest). One of the files was changed "
            "or is another biLM's. Get another copy of both."
        )
