"""TensorFlow checkpoints: what bilm-tf's training writes, and the ELMo modules of TF-Hub.

Names and shapes follow bilm-tf (``training.py``; ``model.py`` for the modules, whose graph it is).
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from glob import escape
from math import prod
from os.path import isfile
from pathlib import Path, PureWindowsPath
from typing import Any, Optional

import numpy as np
import torch

from ..bilm import BiLMConfig, BiLMNetwork, ScalarMixConfig
from ..bilm.characters import N_CHARACTERS
from .files import (
    build_network,
    check_array,
    check_finite,
    check_growth,
    parse_config,
    read_config,
    refuse_pointer,
)
from .layout import Header, arrays_to_parameters, cell_name, check_headers
from .softmax import MissingVocabulary, SoftmaxWeights, check_softmax, read_words

# How variables' names end, behind scopes that differ from program to program. Patterns are for
# whole names, so what an optimizer keeps for a variable ("…/kernel/Adagrad") matches none.
_TOKEN_ENCODER = re.compile(
    r"(?:.*/)?(char_embed|CNN/[Wb]_cnn_\d+|CNN_high_\d+/[Wb]_(?:carry|transform)|CNN_proj/[Wb]_proj)"
)
_CELL = re.compile(
    r"(?:.*/)?RNN_(\d+)/(?:.*/)?[Cc]ell_?(\d+)/(?:.*/)?(?:lstm_cell|LSTMCell)/"
    r"(kernel|bias|projection/kernel|W_0|B|W_P_0)"
)
_CELL_ARRAYS = {"kernel": "W_0", "bias": "B", "projection/kernel": "W_P_0"}
_MIX_WEIGHTS, _MIX_GAMMA = "aggregation/weights", "aggregation/scaling"
_MIX = {  # of TF-Hub's module, and of modules made with bilm-tf's weight_layers
    _MIX_WEIGHTS: re.compile(r"(?:.*/)?aggregation/weights|.*_ELMo_W"),
    _MIX_GAMMA: re.compile(r"(?:.*/)?aggregation/scaling|.*_ELMo_gamma"),
}
_SOFTMAX = re.compile(r"(?:.*/)?softmax/([Wb])")
_SOFTMAX_ARRAYS = {"W": "weight", "b": "bias"}
_PART = re.compile(r"/part_(\d+)$")  # of a variable that is split along its first axis

_STATE = "checkpoint"  # the file that names the latest checkpoint
_OPTIONS = "options.json"
_VOCABULARY = "vocab.txt"


def is_checkpoint(path: Path) -> bool:
    """Whether there is a TensorFlow checkpoint: a folder that training wrote, the common beginning
    of a checkpoint's file names ("…/model.ckpt-60"), or the folder of a TF-Hub module (SavedModel).
    """
    return isfile(f"{path}.index") or isfile(path / _STATE) or _is_module(path)


def read_checkpoint(path: Path, options_path: Optional[Path] = None) -> BiLMNetwork:
    """Read a biLM from a TensorFlow checkpoint. Needs TensorFlow.

    path: As in ``is_checkpoint``. In a folder with several checkpoints, the latest is read.
    options_path: The JSON file of options; by default ``options.json`` in the folder. A TF-Hub
        module has none: its sizes are those of its arrays, and all else is as Peters et al. (2018)
        published it.
    RAISES ImportError: TensorFlow isn't installed.
    RAISES ValueError: A file is missing or damaged, an array is missing, there twice, of a wrong
        shape or type or not finite, or there are more arrays than the options describe.
    """
    prefix, options_path, tf = _find(path, options_path)
    where = str(prefix)
    arrays = _read_arrays(prefix, tf, _array_name)
    table = arrays.get("char_embed")
    if table is not None and table.shape[:1] == (N_CHARACTERS + 1,) and not table[0].any():
        arrays["char_embed"] = table[1:]  # a graph for use has a row of zeros for padding in front
    weights, gamma = arrays.pop(_MIX_WEIGHTS, None), arrays.pop(_MIX_GAMMA, None)
    config = _infer_config(arrays, where) if options_path is None else read_config(options_path)
    if weights is not None or gamma is not None:
        mix = _scalar_mix(weights, gamma, config.n_layers, where)
        config = config.model_copy(update={"scalar_mix": mix})
    headers = {name: Header(array.shape, str(array.dtype)) for name, array in arrays.items()}
    check_headers(headers, config, where)
    for name, array in arrays.items():
        check_finite(where, name, array)
    return build_network(config, arrays_to_parameters(arrays, config))


def read_checkpoint_softmax(
    path: Path, options_path: Optional[Path] = None, vocabulary_path: Optional[Path] = None
) -> Optional[SoftmaxWeights]:
    """Read the softmax of a TensorFlow checkpoint. Needs TensorFlow.

    path: As in ``is_checkpoint``.
    options_path: As ``read_checkpoint`` takes it.
    vocabulary_path: The vocabulary that bilm-tf was trained with, of which the checkpoint knows
        nothing; by default ``vocab.txt`` in the folder.
    RETURNS: None if the checkpoint has no softmax.
    RAISES ImportError: TensorFlow isn't installed.
    RAISES MissingVocabulary: There is a softmax, but no vocabulary.
    RAISES ValueError: A file is missing or damaged, an array is missing, there twice, of a wrong
        shape or type or not finite, or vocabulary and softmax don't fit together.
    """
    prefix, options_path, tf = _find(path, options_path)
    arrays = _read_arrays(prefix, tf, _softmax_name)
    if not arrays or options_path is None:
        return None
    if vocabulary_path is None:
        vocabulary_path = prefix.parent / _VOCABULARY
        if not isfile(vocabulary_path):
            raise MissingVocabulary(
                f"{prefix} has a softmax, but which words it predicts stands only in the "
                "vocabulary file that it was trained with. Give that file, or put it into the "
                f"folder as {_VOCABULARY}."
            )
    words = read_words(vocabulary_path)
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    projection_dim = read_config(options_path).lstm.projection_dim
    return check_softmax(str(prefix), tensors, words, projection_dim)


def _find(path: Path, options_path: Optional[Path]) -> tuple[Path, Optional[Path], Any]:
    """RETURNS: The common beginning of the checkpoint's file names, its options if there are any,
    and TensorFlow."""
    tf = _import_tensorflow(path)
    if isfile(f"{path}.index"):
        prefix, folder = path, path.parent
    elif _is_module(path):
        prefix, folder = _module_prefix(path), path
    else:
        prefix, folder = _latest(path, tf), path
    if options_path is None and (isfile(folder / _OPTIONS) or not _is_module(path)):
        options_path = folder / _OPTIONS
    return prefix, options_path, tf


def _module_prefix(path: Path) -> Path:
    return path / "variables" / "variables"


def _is_module(path: Path) -> bool:
    return isfile(f"{_module_prefix(path)}.index")


def _import_tensorflow(path: Path) -> Any:
    try:
        import tensorflow
    except ImportError as error:
        raise ImportError(
            f"{path} is a TensorFlow checkpoint, and reading it needs TensorFlow: "
            'pip install "spacy-elmo[tensorflow]". Converted once (python -m spacy elmo convert), '
            "it doesn't need it any more."
        ) from error
    return tensorflow


def _latest(folder: Path, tf: Any) -> Path:
    """The checkpoint that the folder's state file names. The file may hold a path of the machine
    that the biLM was trained on: its last part counts."""
    try:
        state = tf.train.get_checkpoint_state(str(folder))
    except ValueError:  # for a file without the path; None for other damage
        state = None
    if state is None:
        raise ValueError(
            f"{folder / _STATE}: doesn't name a checkpoint. Give the path of the one to read, "
            "without its extension (model.ckpt-60)."
        )
    prefix = folder / PureWindowsPath(state.model_checkpoint_path).name  # for either separator
    if not isfile(f"{prefix}.index"):
        raise ValueError(
            f"{prefix}.index: no such file, but '{_STATE}' says that this is the latest "
            "checkpoint. Give the path of the one to read, without its extension."
        )
    return prefix


def _read_arrays(
    prefix: Path, tf: Any, name_of: Callable[[str], Optional[str]]
) -> dict[str, np.ndarray]:
    """prefix: Of the checkpoint's file names.
    name_of: From a variable to the name of its array; None for those that are not to be read.
    RETURNS: Arrays by these names. Those that are stored in parts are put together."""
    files = list(prefix.parent.glob(f"{escape(prefix.name)}.*"))
    for file in files:
        refuse_pointer(file)
    with _damage(prefix, tf):
        reader = tf.train.load_checkpoint(str(prefix))
        shapes = {
            variable: shape
            for variable, shape in reader.get_variable_to_shape_map().items()
            if name_of(_PART.sub("", variable)) is not None
        }
    n_bytes = 4 * sum(prod(shape) for shape in shapes.values())
    check_growth(str(prefix), n_bytes, sum(file.stat().st_size for file in files))
    with _damage(prefix, tf):
        variables = {variable: np.asarray(reader.get_tensor(variable)) for variable in shapes}
    return _join(variables, name_of, str(prefix))


@contextmanager
def _damage(prefix: Path, tf: Any) -> Iterator[None]:
    """Says in one way what TensorFlow says in several of a missing or damaged checkpoint."""
    try:
        yield
    except (tf.errors.OpError, RuntimeError, IndexError, ValueError) as error:
        raise ValueError(f"{prefix}: not a readable TensorFlow checkpoint: {error}") from error


def _array_name(variable: str) -> Optional[str]:
    """The published name of the array in a variable; None for what isn't the biLM's."""
    match = _TOKEN_ENCODER.fullmatch(variable)
    if match:
        return match[1]
    match = _CELL.fullmatch(variable)
    if match:
        cell = cell_name(int(match[1]), int(match[2]))
        return f"{cell}/{_CELL_ARRAYS.get(match[3], match[3])}"
    return next((name for name, pattern in _MIX.items() if pattern.fullmatch(variable)), None)


def _softmax_name(variable: str) -> Optional[str]:
    """Our name of the array of a softmax in a variable; None for what isn't one."""
    match = _SOFTMAX.fullmatch(variable)
    return _SOFTMAX_ARRAYS[match[1]] if match else None


def _join(
    variables: Mapping[str, np.ndarray], name_of: Callable[[str], Optional[str]], where: str
) -> dict[str, np.ndarray]:
    """Put variables that are stored in parts together.

    variables: By their own names.
    RETURNS: Arrays by the names that ``name_of`` gives.
    """
    found: dict[str, dict[str, list[np.ndarray]]] = {}
    for variable in sorted(variables, key=_part_number):
        whole = _PART.sub("", variable)
        parts = found.setdefault(str(name_of(whole)), {}).setdefault(whole, [])
        parts.append(variables[variable])
    arrays = {}
    for name, candidates in found.items():
        if len(candidates) > 1:
            raise ValueError(
                f"{where}: '{min(candidates)}' and '{max(candidates)}' could both be the array "
                f"'{name}'. A checkpoint must hold one biLM."
            )
        (parts,) = candidates.values()
        arrays[name] = parts[0] if len(parts) == 1 else _concatenate(parts, name, where)
    return arrays


def _part_number(variable: str) -> int:
    match = _PART.search(variable)
    return int(match[1]) if match else 0


def _concatenate(parts: list[np.ndarray], name: str, where: str) -> np.ndarray:
    try:
        return np.concatenate(parts)
    except ValueError as error:
        shapes = ", ".join(str(part.shape) for part in parts)
        raise ValueError(f"{where}: parts of array '{name}' have shapes {shapes}.") from error


def _scalar_mix(
    weights: Optional[np.ndarray], gamma: Optional[np.ndarray], n_layers: int, where: str
) -> ScalarMixConfig:
    """weights: (n_layers,). gamma: () or (1,)."""
    checked = []
    for name, array, size in [(_MIX_WEIGHTS, weights, n_layers), (_MIX_GAMMA, gamma, 1)]:
        if array is None:
            raise ValueError(f"{where}: array '{name}' of the scalar mix is missing.")
        array = np.atleast_1d(array)
        check_array(where, name, array.shape, (size,), str(array.dtype), ("float32",))
        check_finite(where, name, array)
        checked.append(array.tolist())
    return ScalarMixConfig(weights=tuple(checked[0]), gamma=checked[1][0])


def _infer_config(arrays: Mapping[str, np.ndarray], where: str) -> BiLMConfig:
    """Options of a biLM of which only the arrays are known."""

    def shape_of(name: str, n_axes: int) -> tuple[int, ...]:
        if name not in arrays or arrays[name].ndim != n_axes:
            what = f"has shape {arrays[name].shape}" if name in arrays else "is missing"
            raise ValueError(
                f"{where}: array '{name}' {what}. Is this a biLM that reads characters?"
            )
        return arrays[name].shape

    def count(pattern: str) -> int:
        return sum(re.fullmatch(pattern, name) is not None for name in arrays)

    n_convolutions = max(count(r"CNN/W_cnn_\d+"), 1)
    convolutions = [shape_of(f"CNN/W_cnn_{i}", 4) for i in range(n_convolutions)]
    dim, projection_dim = shape_of(f"{cell_name(0, 0)}/W_P_0", 2)
    options = {
        "lstm": {
            "dim": dim,
            "projection_dim": projection_dim,
            "n_layers": count(r"RNN_0/.*/W_P_0"),
            "cell_clip": 3,
            "proj_clip": 3,
            "use_skip_connections": True,
        },
        "char_cnn": {
            "activation": "relu",
            "filters": [(width, n_filters) for _, width, _, n_filters in convolutions],
            "n_highway": count(r"CNN_high_\d+/W_carry"),
            "embedding": {"dim": shape_of("char_embed", 2)[1]},
            "n_characters": 262,
            "max_characters_per_token": 50,
        },
    }
    return parse_config(json.dumps(options), where)
