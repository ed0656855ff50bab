"""The published layout: ``options.json`` and an HDF5 file, as bilm-tf writes and AllenNLP reads."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from pathlib import Path

import h5py
import numpy as np

from ..bilm import BiLMConfig, BiLMNetwork, CharCNNConfig
from .digest import digest
from .files import (
    build_network,
    check_finite,
    check_growth,
    options_bytes,
    read_config,
    refuse_pointer,
    replacing,
)
from .layout import (
    Header,
    array_shapes,
    arrays_to_parameters,
    byte_cnn,
    check_headers,
    parameters_to_arrays,
)

_PREFIXES = ("char_embed", "CNN", "RNN_")  # arrays of the biLM; a file may hold others
_DIGEST = "digest"  # an attribute of the file; published files have none
_N_CHARACTERS = 262  # AllenNLP refuses 261; both numbers name the same rows


def read_hdf5(options_path: Path, weights_path: Path) -> BiLMNetwork:
    """Read a biLM in the published layout.

    options_path: The JSON file of options.
    weights_path: The HDF5 file of float32 arrays.
    RAISES ValueError: A file is missing or damaged, an array is missing, of a wrong shape or
        type, not finite or not in the file itself, or there are more arrays than the options
        describe.
    """
    config = read_config(options_path)
    arrays = _read_arrays(weights_path, config)
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
    byte_cnn(network.config)  # raises an error if it has a lexicon
    arrays = parameters_to_arrays(network.state_dict(), network.config)
    for name, array in arrays.items():
        check_finite("A biLM to be saved", name, array)
    options_path = weights_path.with_name("options.json")
    if options_path == weights_path:
        raise ValueError(f"{weights_path} is the name of the options. Name the weights otherwise.")
    options = _options(network.config, options_path, weights_path)
    with replacing(options_path) as new_options, replacing(weights_path) as new_weights:
        with h5py.File(new_weights, "w") as file:
            for name, array in arrays.items():
                file.create_dataset(name, data=array.astype("float32"))
            file.attrs[_DIGEST] = _digest(arrays, network.config)
        new_options.write_bytes(options)
    return options_path


def _options(config: BiLMConfig, options_path: Path, weights_path: Path) -> bytes:
    """What ``options.json`` has to hold. If it describes the biLM already, what else it says, such
    as settings of the training, is kept.

    RAISES ValueError: It belongs to another biLM, whose weights aren't the ones to be replaced.
    """
    expected = _as_written(config)
    if options_path.exists():
        present = read_config(options_path)
        if _as_written(present) == expected:
            content = options_path.read_bytes()
            if byte_cnn(present).n_characters == _N_CHARACTERS:
                return content
            options = json.loads(content)
            options["char_cnn"]["n_characters"] = _N_CHARACTERS
            return (json.dumps(options, indent=2) + "\n").encode()
        others = [path for path in weights_path.parent.glob("*.h*5") if path != weights_path]
        if others or not weights_path.exists():
            raise ValueError(
                f"{options_path} belongs to another biLM. Choose another directory for the weights."
            )
    return (expected.model_dump_json(indent=2, exclude={"scalar_mix"}) + "\n").encode()


def _as_written(config: BiLMConfig) -> BiLMConfig:
    """The options of the published layout. Those of a biLM with a lexicon, which it can't hold,
    stay as they are."""
    if not isinstance(config.char_cnn, CharCNNConfig):
        return config
    char_cnn = config.char_cnn.model_copy(update={"n_characters": _N_CHARACTERS})
    return config.model_copy(update={"char_cnn": char_cnn, "scalar_mix": None})


def _read_arrays(path: Path, config: BiLMConfig) -> dict[str, np.ndarray]:
    refuse_pointer(path)
    where = str(path)
    with _damage(path):
        file = h5py.File(path, "r")
    with file:
        with _damage(path):
            links: list[tuple[str, object]] = []
            file.visititems_links(lambda name, link: links.append((name, link)))
        _refuse_links(links, where)
        with _damage(path):
            datasets = {
                name: file[name]
                for name, _ in links
                if name.startswith(_PREFIXES) and file.get(name, getclass=True) is h5py.Dataset
            }
            elsewhere = [name for name, d in datasets.items() if d.is_virtual or d.external]
            headers = {name: Header(d.shape, str(d.dtype)) for name, d in datasets.items()}
            # By its name among all: asking for it, h5py says of a damaged one that there is none.
            expected = file.attrs[_DIGEST] if _DIGEST in list(file.attrs) else None
        if elsewhere:
            raise ValueError(
                f"{where}: array '{elsewhere[0]}' is stored in other files (external or virtual "
                "storage). Not read: a file of weights holds its own data."
            )
        check_headers(headers, config, where)
        n_bytes = 4 * sum(prod(header.shape) for header in headers.values())
        check_growth(where, n_bytes, path.stat().st_size)
        with _damage(path):
            arrays = {name: datasets[name][()] for name in array_shapes(config)}
    for name, array in arrays.items():
        check_finite(where, name, array)
    if expected is not None and expected != _digest(arrays, config):
        raise ValueError(
            f"{where}: these aren't the weights and options that were written (by their digest). "
            "One of the files is damaged, was changed, or is another biLM's. Get another copy of "
            "both."
        )
    return arrays


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """Says in one way what h5py says in many of a missing or damaged file."""
    try:
        yield
    except Exception as error:
        raise ValueError(f"{path}: not a readable HDF5 file: {error}") from error


def _refuse_links(links: list[tuple[str, object]], where: str) -> None:
    """RAISES ValueError: An array is a link to another place, which may be another file."""
    for name, link in links:
        if name.startswith(_PREFIXES) and not isinstance(link, h5py.HardLink):
            raise ValueError(
                f"{where}: array '{name}' is a link to another place. Not followed: a file of "
                "weights holds its own data."
            )


def _digest(arrays: Mapping[str, np.ndarray], config: BiLMConfig) -> str:
    """The digest of arrays and of the options they are written with."""
    parts: list[bytes | memoryview] = [options_bytes(_as_written(config))]
    for name in array_shapes(config):
        parts += [name.encode(), np.ascontiguousarray(arrays[name], "float32").data]
    return digest(*parts)
