"""Finds out what a source of weights is and reads it: first which files it names, which are
fetched if need be, then what format they have."""

import re
from collections.abc import Sequence
from contextlib import suppress
from difflib import get_close_matches
from os.path import isdir, isfile
from pathlib import Path
from typing import Optional, Union

import h5py
from fsspec.implementations.local import LocalFileSystem

from ..bilm import BiLMNetwork
from ..urls import is_url
from .archive import is_archive_name
from .hdf5 import read_hdf5
from .hub import HubSource, fetch_hub, fetch_hub_softmax, is_hub
from .many_langs import find_many_langs, read_many_langs
from .native import (
    CONFIG_NAME,
    SOFTMAX_NAME,
    VOCABULARY_NAME,
    WEIGHTS_NAME,
    read_native,
    read_native_softmax,
)
from .published import PUBLISHED, PublishedFile
from .remote import NotAvailable, fetch, fetch_archive, is_cached, unpacked_path
from .softmax import SoftmaxWeights
from .tensorflow import is_checkpoint, read_checkpoint, read_checkpoint_softmax
from .urls import Url

MODELS = Path(__file__).parent.parent / "models"

Source = Union[str, Path, Sequence[Union[str, Path]]]
Local = Union[Path, tuple[Path, Path]]


def bundled_names() -> list[str]:
    """Names of the biLMs that come with the package."""
    return sorted(path.parent.name for path in MODELS.glob(f"*/{CONFIG_NAME}"))


def bundled_language(source: Source) -> Optional[str]:
    """The language that a bundled biLM has read, by its name: "en" for "en_small". None for any
    other source, of which it isn't known.

    source: As ``resolve_source`` takes it.
    """
    name = str(source)
    return name.partition("_")[0] if name in bundled_names() else None


def read_source(source: Source) -> BiLMNetwork:
    """Read a biLM from wherever it is.

    source: As ``resolve_source`` takes it.
    RAISES ValueError: There is no such source (the error lists what was tried), it can't be
        fetched, or it is damaged (the error names file and array).
    RAISES ImportError: It is a TensorFlow checkpoint, and TensorFlow isn't installed.
    """
    return read_local(resolve_source(source))


def read_softmax(source: Source, vocabulary: Optional[Path] = None) -> Optional[SoftmaxWeights]:
    """Read the softmax that a biLM was trained with. Native directories may hold one, and bilm-tf's
    training checkpoints do; no other format has a place for it.

    source: As ``resolve_source`` takes it.
    vocabulary: For a checkpoint, the vocabulary file that it was trained with; by default
        ``vocab.txt`` beside it.
    RETURNS: None if the source has no softmax.
    RAISES MissingVocabulary: A checkpoint has a softmax, but there is no vocabulary.
    RAISES ValueError: There is no such source, or the softmax is damaged or doesn't fit the biLM
        or the vocabulary.
    RAISES ImportError: It is a TensorFlow checkpoint, and TensorFlow isn't installed.
    """
    local = resolve_source(source)
    if isinstance(local, Path):
        if is_hub(source):
            fetch_hub_softmax(HubSource.parse(str(source)), local)
        else:
            _fetch_softmax(source, local)
    return read_local_softmax(local, vocabulary)


def pin_source(source: Source) -> Source:
    """A source that stays what it is: of a repository on the hub, which may change, the commit that
    it has now. Others are kept in the cache as they were fetched.

    source: As ``resolve_source`` takes it.
    RAISES: As ``resolve_source`` does.
    """
    if not is_hub(source):
        return source
    hub = HubSource.parse(str(source))
    return str(HubSource(hub.repository, fetch_hub(hub).name))


def resolve_source(source: Source) -> Local:
    """The files of a biLM on this machine. What is remote is fetched, unless the cache has it.

    source: A bundled or published name; a path; a URL (``https://``,
        ``http://``, ``s3://``, ``gs://`` or ``file://``); a repository of the Hugging Face Hub
        (``hf:OWNER/NAME`` or ``hf:OWNER/NAME@REVISION``); or a pair of options
        and weights, paths or URLs. A URL is that of an archive, an HDF5 file with its options
        beside it, or a native directory. ``#sha256=…`` at its end is the file's checksum. A
        repository is one of any directory that can be read.
    RETURNS: A path that exists, the prefix of a checkpoint, or the pair of options and weights.
    RAISES ValueError: There is no such source (the error lists what was tried), or it can't be
        fetched.
    """
    if not isinstance(source, (str, Path)):
        if len(source) != 2:
            raise ValueError(
                f"A source of several files is a pair (options, weights), but got {source!r}."
            )
        options, weights = (_resolve_file(file) for file in source)
        return options, weights
    name = str(source)
    if name in bundled_names():
        return MODELS / name
    if name in PUBLISHED:
        files = [_resolve_published(file) for file in PUBLISHED[name].files]
        return files[0] if len(files) == 1 else (files[0], files[1])
    if is_hub(source):
        return fetch_hub(HubSource.parse(name))
    if is_url(name):
        return _resolve_url(name)
    path = Path(source)
    # Unlike Path's methods, these are false for what is no path.
    if name and (isfile(path) or isdir(path) or is_checkpoint(path)):
        return path
    names = [*bundled_names(), *PUBLISHED]
    similar = [known for known in names if known.endswith(f"/{name}")]  # "de" is many_langs/de
    similar = similar or get_close_matches(name, names, cutoff=0.5)
    raise ValueError(
        f"Can't find the biLM '{source}'. Tried: a bundled name ({', '.join(bundled_names())}); a "
        f"published name ('python -m spacy elmo download --list' prints all {len(PUBLISHED)}); "
        f"a file or directory at {path.absolute()}. "
        + (f"Did you mean {' or '.join(similar)}? " if similar else "")
        + f"Give one of these names, a directory that holds {CONFIG_NAME} and {WEIGHTS_NAME} or "
        "options.json and an HDF5 file of weights, a directory of ELMoForManyLangs, a "
        "TensorFlow checkpoint, a URL, hf:OWNER/NAME of the Hugging Face Hub, or a pair of paths "
        "or URLs (options, weights)."
    )


def read_local(local: Local) -> BiLMNetwork:
    """Read a biLM from files on this machine.

    local: A native directory; a directory with one ``*options.json`` and one HDF5 file; an HDF5
        file in such a directory; a pair of options and weights; a directory of
        ELMoForManyLangs; or a TensorFlow checkpoint (bilm-tf's training directory, a prefix in
        it such as ``model.ckpt-60``, or a TF-Hub module).
    RAISES ValueError: The files are of no known format, or damaged.
    RAISES ImportError: It is a TensorFlow checkpoint, and TensorFlow isn't installed.
    """
    checkpoint = _checkpoint(local)
    if checkpoint is not None:
        return read_checkpoint(*checkpoint)
    if not isinstance(local, Path):
        return read_hdf5(*local)
    if local.is_dir():
        many_langs = find_many_langs(local)
        if many_langs is not None and not (local / WEIGHTS_NAME).exists():
            return read_many_langs(many_langs)
        is_native = (local / CONFIG_NAME).exists() and not any(local.glob("*options.json"))
        if is_native or (local / WEIGHTS_NAME).exists():
            return read_native(local)
        return read_hdf5(_only(local, "*options.json"), _only(local, "*.hdf5", "*.h5"))
    if local.name == WEIGHTS_NAME:
        return read_native(local.parent)
    if is_archive_name(local.name):
        raise ValueError(f"{local} is an archive. Unpack it and give the directory.")
    if not h5py.is_hdf5(local):
        raise ValueError(
            f"{local} isn't a file of weights: it is neither HDF5 nor a {WEIGHTS_NAME}. Give "
            "such a file, or a biLM's directory."
        )
    return read_hdf5(_only(local.parent, "*options.json"), local)


def read_local_softmax(local: Local, vocabulary: Optional[Path] = None) -> Optional[SoftmaxWeights]:
    """As ``read_softmax``, but of files on this machine.

    local: As ``resolve_source`` gives them.
    """
    if isinstance(local, Path):
        directory = local.parent if local.name == WEIGHTS_NAME else local
        if (directory / WEIGHTS_NAME).exists():
            return read_native_softmax(directory)
    checkpoint = _checkpoint(local)
    return None if checkpoint is None else read_checkpoint_softmax(*checkpoint, vocabulary)


def _checkpoint(local: Local) -> Optional[tuple[Path, Optional[Path]]]:
    """A checkpoint and its options, if files are those of one. An HDF5 file beside a checkpoint
    needs no TensorFlow, and is read in its place."""
    if not isinstance(local, Path):
        options, weights = local
        return (weights, options) if is_checkpoint(weights) else None
    if local.is_dir():
        others = any((local / name).exists() for name in (WEIGHTS_NAME, CONFIG_NAME))
        if others or not is_checkpoint(local) or any(local.glob("*.h*5")):
            return None
    elif local.exists():
        return None
    return local, None


def _fetch_softmax(source: Source, local: Path) -> None:
    """Fetch the softmax of a native directory that was fetched file by file, if it has one.

    local: Its files on this machine.
    """
    if not is_url(str(source)) or _is_file_url(str(source)):
        return
    url = Url.parse(str(source))
    if local == url.inside(CONFIG_NAME).place:
        place, member = local, url.inside
    elif local == url.place / WEIGHTS_NAME:
        place, member = url.place, url.beside
    else:
        return
    with suppress(NotAvailable):
        for name in (VOCABULARY_NAME, SOFTMAX_NAME):  # so that a softmax never stands alone
            fetch(member(name), place)


def _resolve_published(file: PublishedFile) -> Path:
    """One file of a published biLM, or the directory of its archive, from the cache or from the
    first address that has it.

    RAISES ValueError: None has it, or it has changed in the cache.
    """
    urls = [Url.parse(source) for source in file.sources]
    for url in urls:
        if is_cached(url, url.place):
            return _fetch_file(url)
    problems = []
    for url in urls:
        try:
            return _fetch_file(url)
        except ValueError as error:
            problems.append(error)
    if len(problems) == 1:
        raise problems[0]
    raise ValueError(" ".join(map(str, problems)))


def _fetch_file(url: Url) -> Path:
    fetch_ = fetch_archive if is_archive_name(url.name) else fetch
    return fetch_(url, url.place)


def _resolve_file(file: Union[str, Path]) -> Path:
    """One file of a pair."""
    if is_hub(file):
        raise ValueError(
            f"A pair (options, weights) holds files, but {file} is a repository. Give it alone."
        )
    if not is_url(str(file)):
        return Path(file)
    if _is_file_url(str(file)):
        return _file_path(str(file))
    url = Url.parse(str(file))
    return fetch(url, url.place)


def _resolve_url(text: str) -> Local:
    if _is_file_url(text):
        return resolve_source(_file_path(text))
    url = Url.parse(text)
    place = url.place
    if is_archive_name(url.name):
        return fetch_archive(url, place)
    if url.name.endswith((".hdf5", ".h5")):
        return _fetch_options(url, place), fetch(url, place)
    if url.name == WEIGHTS_NAME:
        fetch(url.beside(CONFIG_NAME), place)
        return fetch(url, place)
    # Now it is a directory, which has no checksum, or an archive whose name doesn't say so.
    if url.sha256 is not None or unpacked_path(url, place).exists():
        return fetch_archive(url, place)
    return _fetch_directory(url)


def _fetch_options(weights: Url, place: Path) -> Path:
    """The options that belong to published weights: ``elmo_weights.hdf5`` has them in
    ``elmo_options.json``, or else in ``options.json``."""
    names = [re.sub("weights.*$", "options.json", weights.name), "options.json"]
    urls = [weights.beside(name) for name in dict.fromkeys(names) if name != weights.name]
    # Options that other weights have left in the cache may be other options than these weights'.
    if (place / weights.file_name).exists():
        for url in urls:
            if (place / url.file_name).exists():
                return fetch(url, place)
    for url in urls:
        try:
            return fetch(url, place)
        except NotAvailable as error:
            reason = error
    raise ValueError(
        f"Can't find the options of {weights}. Tried: {', '.join(map(str, urls))}. A pair of "
        "URLs (options, weights) says which files to use."
    ) from reason


def _fetch_directory(url: Url) -> Path:
    """Fetch a native directory, or else an archive."""
    config = url.inside(CONFIG_NAME)
    try:
        fetch(config, config.place)
    except NotAvailable as error:
        if not url.name:
            raise
        try:
            return fetch_archive(url, url.place)
        except ValueError as other:
            raise ValueError(
                f"Can't find a biLM at {url}. Tried: a directory with {CONFIG_NAME} and "
                f"{WEIGHTS_NAME} ({error}); an archive ({other})."
            ) from other
    return fetch(url.inside(WEIGHTS_NAME), config.place).parent


def _is_file_url(text: str) -> bool:
    return text.startswith("file://")


def _file_path(text: str) -> Path:
    if "#sha256=" in text:
        raise ValueError(f"{text}: a file on this machine is not compared with a checksum.")
    return Path(LocalFileSystem._strip_protocol(text))


def _only(directory: Path, *patterns: str) -> Path:
    """The one file in a directory that matches a pattern."""
    found = [path for pattern in patterns for path in sorted(directory.glob(pattern))]
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise ValueError(
            f"{directory.absolute()}: expected one file {' or '.join(patterns)} (found: {names}). "
            "A pair of paths (options, weights) says which files to use."
        )
    return found[0]
