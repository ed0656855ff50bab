"""The published layout: ``options.json`` and an HDF5 file, as bilm-tf writes and AllenNLP reads."""

from pathlib import Path

import h5py
import numpy as np

from ..bilm import BiLMConfig, BiLMNetwork
from .files import build_network, check_finite, read_config, replacing
from .layout import arrays_to_parameters, byte_cnn, parameters_to_arrays, take_arrays

_PREFIXES = ("char_embed", "CNN", "RNN_")  # arrays of the biLM; a file may hold others


def read_hdf5(options_path: Path, weights_path: Path) -> BiLMNetwork:
    """Read a biLM in the published layout.

    options_path: The JSON file of options.
    weights_path: The HDF5 file of float32 arrays.
    RAISES ValueError: A file is missing or damaged, an array is missing, of a wrong shape or
        type or not finite, or there are more arrays than the options describe.
    """
    config = read_config(options_path)
    try:
        arrays = _read_arrays(weights_path, config)
    except (OSError, RuntimeError, KeyError) as error:  # h5py's for missing and damaged files
        raise ValueError(f"{weights_path}: not a readable HDF5 file: {error}") from error
    return build_network(config, arrays_to_parameters(arrays, config))


def write_hdf5(network: BiLMNetwork, weights_path: Path) -> Path:
    """Write a biLM in the published layout: what AllenNLP and simple_elmo read. It has no place
    for a scalar mix.

    network: The biLM.
    weights_path: The HDF5 file. ``options.json`` is written beside it.
    RETURNS: The path of ``options.json``.
    RAISES ValueError: A weight is not finite, the biLM has a lexicon, or the options would
        replace another biLM's.
    """
    # AllenNLP refuses 261; both numbers name the same rows.
    char_cnn = byte_cnn(network.config).model_copy(update={"n_characters": 262})
    arrays = parameters_to_arrays(network.state_dict(), network.config)
    for name, array in arrays.items():
        check_finite("A biLM to be saved", name, array)
    config = network.config.model_copy(update={"char_cnn": char_cnn, "scalar_mix": None})
    options_path = weights_path.with_name("options.json")
    if options_path == weights_path:
        raise ValueError(f"{weights_path} is the name of the options. Name the weights otherwise.")
    if options_path.exists() and not weights_path.exists() and read_config(options_path) != config:
        raise ValueError(
            f"{options_path} belongs to another biLM. Choose another directory for the weights."
        )
    with replacing(weights_path) as temporary, h5py.File(temporary, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array.astype("float32"))
    with replacing(options_path) as temporary:
        options = config.model_dump_json(indent=2, exclude={"scalar_mix"})
        temporary.write_text(options + "\n", encoding="utf-8")
    return options_path


def _read_arrays(path: Path, config: BiLMConfig) -> dict[str, np.ndarray]:
    with h5py.File(path, "r") as file:
        names: list[str] = []
        file.visit(names.append)
        present = {
            name: file[name]
            for name in names
            if name.startswith(_PREFIXES) and isinstance(file[name], h5py.Dataset)
        }
        return take_arrays(present, config, str(path))
