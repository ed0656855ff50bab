"""The layout of ELMoForManyLangs (Che et al. 2018, https://github.com/HIT-SCIR/ELMoForManyLangs):
a directory with settings in JSON, lexicons in text and two PyTorch state dicts.

The state dicts are pickles. They are read by PyTorch's restricted unpickler, which builds tensors
and calls nothing.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from os.path import isfile
from pathlib import Path, PureWindowsPath
from typing import Literal, Optional
from zipfile import BadZipFile, ZipFile

import torch
from pydantic import NonNegativeFloat, NonNegativeInt
from torch import Tensor

from ..bilm import BiLMConfig, BiLMNetwork, LexiconCNNConfig, LSTMConfig
from ..bilm.config import Section, Size
from ..bilm.lstm import FORGET_BIAS
from .archive import contents
from .files import (
    build_network,
    check_array,
    check_depth,
    check_finite,
    check_growth,
    check_names,
    parse_config,
    read_json,
    refuse_pointer,
)

TRAINING_NAME = "config.json"
CHARACTERS_NAME = "char.dic"
WORDS_NAME = "word.dic"
TOKEN_EMBEDDER_NAME = "token_embedder.pkl"
ENCODER_NAME = "encoder.pkl"

# Some biLMs were published without their settings, whose names are these. Both have the same
# content (the directory ``configs`` of the published code).
PUBLISHED_SETTINGS = ("cnn_50_100_512_4096_sample.json", "cnn_0_100_512_4096_sample.json")

_WORD_EMBEDDINGS = "word_emb_layer.embedding.weight"
_CHARACTER_EMBEDDINGS = "char_emb_layer.embedding.weight"


class _Training(Section):
    """``config.json``, the arguments of the training command."""

    config_path: str


class _EncoderSettings(Section):
    """The LSTMs. A clip of 0 is none."""

    name: Literal["elmo"]
    dim: Size
    projection_dim: Size
    n_layers: Size
    cell_clip: Optional[NonNegativeFloat]
    proj_clip: Optional[NonNegativeFloat]


class _TokenEmbedderSettings(Section):
    """The token encoder. A ``word_dim`` of 0 is no lexicon of words."""

    name: Literal["cnn"]
    activation: Literal["relu", "tanh"]
    filters: tuple[tuple[Size, Size], ...]
    n_highway: NonNegativeInt
    word_dim: NonNegativeInt
    char_dim: Size
    max_characters_per_token: int


class _Settings(Section):
    """The file that ``config_path`` names."""

    encoder: _EncoderSettings
    token_embedder: _TokenEmbedderSettings


def find_many_langs(directory: Path) -> Optional[Path]:
    """The directory that holds a biLM in this layout: the given one, or the only one in it, as
    an unpacked archive may have it; None if there is none."""
    inside = contents(directory)
    for folder in (directory, *(inside if len(inside) == 1 else ())):
        if any(isfile(folder / n) for n in (ENCODER_NAME, TOKEN_EMBEDDER_NAME, CHARACTERS_NAME)):
            return folder
    return None


def read_many_langs(directory: Path) -> BiLMNetwork:
    """Read a biLM of ELMoForManyLangs.

    All weights are kept as they are, but for the forget gates' bias: the published code adds
    nothing to it, so ``FORGET_BIAS`` is taken off here. That is exact for a stored bias of 0.5 or
    more (it starts at 1) and a rounding of at most 6e-8 for one between -1 and 0.5.

    directory: Holds ``config.json``, ``char.dic``, ``encoder.pkl`` and ``token_embedder.pkl``;
        ``word.dic`` if the biLM has embeddings of words; and the settings that ``config.json``
        names unless they are the published ones.
    RAISES ValueError: A file is missing or damaged or holds something else, or an array is
        missing, unknown, of a wrong shape or type, or not finite.
    """
    token_embedder = _read_tensors(directory / TOKEN_EMBEDDER_NAME)
    encoder = _read_tensors(directory / ENCODER_NAME)
    settings = _read_settings(directory, has_words=_WORD_EMBEDDINGS in token_embedder)
    config = _to_config(settings, directory)
    cnn, lstm = config.char_cnn, config.lstm
    assert isinstance(cnn, LexiconCNNConfig)
    check_depth(str(directory), config, len(token_embedder) + len(encoder))
    shapes = _token_embedder_shapes(cnn, lstm.projection_dim)
    _check_arrays(directory / TOKEN_EMBEDDER_NAME, token_embedder, shapes)
    _check_arrays(directory / ENCODER_NAME, encoder, _encoder_shapes(lstm))
    parameters = _token_encoder_parameters(token_embedder, cnn) | _lstm_parameters(encoder, lstm)
    return build_network(config, parameters)


def _read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a state dict. They aren't larger than the file allows; nothing else of them is
    checked."""
    refuse_pointer(path)
    try:
        n_stored, n_unpacked = path.stat().st_size, _unpacked_size(path)
    except OSError as error:
        raise ValueError(f"Can't read weights: {path}: {error.strerror}") from error
    check_growth(str(path), n_unpacked, n_stored)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever PyTorch stumbles over in a file that is something else
        raise ValueError(
            f"{path}: not a readable state dict. The file is damaged, or it holds something else "
            "than tensors and was refused, because unpickling that may run code."
        ) from error
    if not isinstance(state, dict) or not all(map(_is_array, state.values())):
        raise ValueError(f"{path}: not a state dict, which maps names to arrays.")
    tensors = {str(name): tensor.detach() for name, tensor in state.items()}
    # Several may lie in the same memory, and one may repeat it.
    check_growth(str(path), sum(tensor.nbytes for tensor in tensors.values()), n_stored)
    return tensors


def _unpacked_size(path: Path) -> int:
    """What is read of a file: PyTorch packs state dicts as zip, whose parts may be compressed.

    RAISES OSError: It can't be read.
    """
    with open(path, "rb") as file, suppress(BadZipFile):  # then PyTorch says what is wrong
        return sum(part.file_size for part in ZipFile(file).infolist())
    return 0


def _is_array(value: object) -> bool:
    """False for sparse tensors and for those without data, too."""
    return isinstance(value, Tensor) and value.layout == torch.strided and value.is_cpu


def _read_settings(directory: Path, has_words: bool) -> _Settings:
    """``config_path`` is a path of the machine the biLM was trained on. Its last part names a file
    in the directory, or else the published settings. The path itself is never opened: whoever
    packed the directory would choose a file of this machine.

    has_words: Whether the weights hold embeddings of words. The published settings have 100
        dimensions for them; ``word.dic`` says nothing, because training writes it in any case.
    """
    training = read_json(directory / TRAINING_NAME, _Training, "the arguments of a training")
    name = PureWindowsPath(training.config_path).name  # knows both kinds of slashes
    if name and isfile(directory / name):
        what = "the settings of ELMoForManyLangs with a CNN"
        return read_json(directory / name, _Settings, what)
    if name not in PUBLISHED_SETTINGS:
        raise ValueError(
            f"{directory / TRAINING_NAME}: the settings that it names ('{training.config_path}', "
            f"config_path) are not here. Put the file into {directory}."
        )
    return _Settings(
        encoder=_EncoderSettings(
            name="elmo", dim=4096, projection_dim=512, n_layers=2, cell_clip=3, proj_clip=3
        ),
        token_embedder=_TokenEmbedderSettings(
            name="cnn",
            activation="relu",
            filters=((1, 32), (2, 32), (3, 64), (4, 128), (5, 256), (6, 512), (7, 1024)),
            n_highway=2,
            word_dim=100 if has_words else 0,
            char_dim=50,
            max_characters_per_token=50,
        ),
    )


def _to_config(settings: _Settings, directory: Path) -> BiLMConfig:
    """RAISES ValueError: A lexicon is missing, damaged or incomplete, or the settings don't fit
    together."""
    encoder, embedder = settings.encoder, settings.token_embedder
    options = {
        "lstm": {
            "dim": encoder.dim,
            "projection_dim": encoder.projection_dim,
            "n_layers": encoder.n_layers,
            "cell_clip": encoder.cell_clip or None,
            "proj_clip": encoder.proj_clip or None,
            "use_skip_connections": True,
        },
        "char_cnn": {
            "activation": embedder.activation,
            "filters": embedder.filters,
            "n_highway": embedder.n_highway,
            "max_characters_per_token": embedder.max_characters_per_token,
            "characters": _lexicon_options(directory / CHARACTERS_NAME, embedder.char_dim),
            "words": _lexicon_options(directory / WORDS_NAME, embedder.word_dim),
        },
    }
    return parse_config(json.dumps(options), str(directory))


def _lexicon_options(path: Path, dim: int) -> Optional[dict[str, object]]:
    return {"dim": dim, "entries": _read_lexicon(path)} if dim else None


def _read_lexicon(path: Path) -> list[str]:
    """Read a lexicon: on each line an entry, a tab and its id.

    RETURNS: The entries, in the order of their ids.
    RAISES ValueError: The file is missing or isn't UTF-8, a line is something else, or the ids
        aren't 0, 1, 2 …, each once.
    """
    refuse_pointer(path)
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise ValueError(f"Can't read the lexicon: {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not a lexicon in UTF-8: {error}") from error
    ids: dict[str, int] = {}
    for number, line in enumerate(text.removesuffix("\n").split("\n"), start=1):
        # As the published code does it: an entry that is white space is stripped, and is U+3000.
        fields = line.strip().split("\t")
        entry = fields[0] if len(fields) > 1 else "\u3000"
        if len(fields) > 2 or not fields[-1].isdecimal():
            raise ValueError(f"{path}: line {number} is not an entry, a tab and its id: {line!r}")
        ids[entry] = int(fields[-1])
    if sorted(ids.values()) != list(range(len(ids))):
        raise ValueError(
            f"{path}: the ids of its {len(ids)} different entries aren't the numbers from 0 to "
            f"{len(ids) - 1}."
        )
    return sorted(ids, key=ids.__getitem__)


def _check_arrays(
    path: Path, arrays: dict[str, Tensor], shapes: dict[str, tuple[int, ...]]
) -> None:
    check_names(str(path), arrays, shapes)
    for name, tensor in arrays.items():
        dtype = str(tensor.dtype).removeprefix("torch.")
        check_array(str(path), name, tuple(tensor.shape), shapes[name], dtype, ("float32",))
        check_finite(str(path), name, tensor.numpy())


def _token_embedder_shapes(
    cnn: LexiconCNNConfig, projection_dim: int
) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the arrays in ``token_embedder.pkl``."""
    shapes: dict[str, tuple[int, ...]] = {
        _CHARACTER_EMBEDDINGS: (len(cnn.characters.entries), cnn.characters.dim)
    }
    n_inputs = cnn.n_filters
    if cnn.words is not None:
        shapes[_WORD_EMBEDDINGS] = (len(cnn.words.entries), cnn.words.dim)
        n_inputs += cnn.words.dim
    for i, (width, n_filters) in enumerate(cnn.filters):
        shapes[f"convolutions.{i}.weight"] = (n_filters, cnn.characters.dim, width)
        shapes[f"convolutions.{i}.bias"] = (n_filters,)
    for i in range(cnn.n_highway):
        shapes[f"highways._layers.{i}.weight"] = (2 * cnn.n_filters, cnn.n_filters)
        shapes[f"highways._layers.{i}.bias"] = (2 * cnn.n_filters,)
    shapes["projection.weight"] = (projection_dim, n_inputs)
    shapes["projection.bias"] = (projection_dim,)
    return shapes


def _encoder_shapes(lstm: LSTMConfig) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the arrays in ``encoder.pkl``."""
    shapes: dict[str, tuple[int, ...]] = {}
    for cell, _ in _cells(lstm):
        shapes[f"{cell}.input_linearity.weight"] = (4 * lstm.dim, lstm.projection_dim)
        shapes[f"{cell}.state_linearity.weight"] = (4 * lstm.dim, lstm.projection_dim)
        shapes[f"{cell}.state_linearity.bias"] = (4 * lstm.dim,)
        shapes[f"{cell}.state_projection.weight"] = (lstm.projection_dim, lstm.dim)
    return shapes


def _token_encoder_parameters(
    arrays: dict[str, Tensor], cnn: LexiconCNNConfig
) -> dict[str, Tensor]:
    """Names as in the ``state_dict`` of a ``BiLMNetwork``."""
    parameters = {"char_embedding.weight": arrays[_CHARACTER_EMBEDDINGS]}
    if cnn.words is not None:
        parameters["word_embedding.weight"] = arrays[_WORD_EMBEDDINGS]
    for part in ("weight", "bias"):
        for i in range(len(cnn.filters)):
            parameters[f"convolutions.{i}.{part}"] = arrays[f"convolutions.{i}.{part}"]
        for i in range(cnn.n_highway):
            # The gate is AllenNLP's, which keeps the input where ours lets the transform through:
            # 1 - sigmoid(x) = sigmoid(-x).
            transform, gate = arrays[f"highways._layers.{i}.{part}"].chunk(2)
            parameters[f"highways.{i}.transform.{part}"] = transform
            parameters[f"highways.{i}.carry.{part}"] = -gate
        parameters[f"projection.{part}"] = arrays[f"projection.{part}"]
    return {f"token_encoder.{name}": tensor for name, tensor in parameters.items()}


def _lstm_parameters(arrays: dict[str, Tensor], lstm: LSTMConfig) -> dict[str, Tensor]:
    """Names as in the ``state_dict`` of a ``BiLMNetwork``. The order of the gates is the same."""
    parameters = {}
    for cell, layer in _cells(lstm):
        parameters[f"{layer}.weight_ih"] = arrays[f"{cell}.input_linearity.weight"]
        parameters[f"{layer}.weight_hh"] = arrays[f"{cell}.state_linearity.weight"]
        parameters[f"{layer}.weight_hr"] = arrays[f"{cell}.state_projection.weight"]
        input_, forget, candidate, output = arrays[f"{cell}.state_linearity.bias"].chunk(4)
        parameters[f"{layer}.bias"] = torch.cat([input_, forget - FORGET_BIAS, candidate, output])
    return parameters


def _cells(lstm: LSTMConfig) -> Iterator[tuple[str, str]]:
    """The published and our name of every LSTM layer."""
    for direction in ("forward", "backward"):
        for i in range(lstm.n_layers):
            yield f"{direction}_layer_{i}", f"{direction}_lstm.layers.{i}"
