import json
import os
import re
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from spacy_elmo import BiLM
from spacy_elmo.formats import (
    MissingVocabulary,
    SoftmaxWeights,
    read_local_softmax,
    read_native,
    read_softmax,
    read_words,
    write_native,
)
from spacy_elmo.formats.softmax import words_to_bytes

WORDS = ("</S>", "<S>", "<UNK>", "the", "bänk", "U+2028:\u2028", "\u00a0")


def make_softmax(words=WORDS, projection_dim=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(len(words), projection_dim, generator=generator)
    return SoftmaxWeights(words, weight, torch.randn(len(words), generator=generator))


def assert_same(softmax, expected):
    assert softmax.words == expected.words
    for array, other in zip(softmax[1:], expected[1:], strict=True):
        assert array.dtype == torch.float32
        assert torch.equal(array, other)


@pytest.fixture
def network(make_network):
    return make_network()


@pytest.fixture
def softmax():
    return make_softmax()


@pytest.fixture
def written(network, softmax, tmp_path):
    """A native directory with a softmax."""
    write_native(network, tmp_path / "bilm", softmax=softmax)
    return tmp_path / "bilm"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# Native directories


def test_a_directory_with_a_softmax(written, softmax):
    expected = ["config.json", "model.safetensors", "softmax.safetensors", "vocabulary.txt"]
    assert names(written) == expected
    assert_same(read_softmax(written), softmax)
    assert_same(read_softmax(str(written / "model.safetensors")), softmax)
    assert BiLM.load(written).config.lstm.projection_dim == 5


def test_files_are_those_of_common_tools(written, softmax):
    lines = (written / "vocabulary.txt").read_bytes().decode().split("\n")
    assert lines == [*WORDS, ""]
    arrays = load_file(written / "softmax.safetensors")
    assert {name: array.shape for name, array in arrays.items()} == {"weight": (7, 5), "bias": (7,)}
    assert torch.equal(arrays["weight"], softmax.weight)


def test_without_a_softmax(network, tmp_path):
    write_native(network, tmp_path)
    assert names(tmp_path) == ["config.json", "model.safetensors"]
    assert read_softmax(tmp_path) is None


def test_half_precision(network, softmax, tmp_path):
    write_native(network, tmp_path, "float16", softmax)
    assert load_file(tmp_path / "softmax.safetensors")["weight"].dtype == torch.float16
    rounded = SoftmaxWeights(WORDS, softmax.weight.half().float(), softmax.bias.half().float())
    assert_same(read_softmax(tmp_path), rounded)


def test_saving_without_a_softmax_removes_the_old_one(written, make_network):
    write_native(make_network(seed=1), written)
    assert names(written) == ["config.json", "model.safetensors"]


def test_a_softmax_replaces_an_older_one(written, network):
    newer = make_softmax(WORDS[:4], seed=1)
    write_native(network, written, softmax=newer)
    assert_same(read_softmax(written), newer)


def test_a_vocabulary_that_is_no_softmaxs_is_kept(network, tmp_path):
    (tmp_path / "vocabulary.txt").write_text("mine")
    write_native(network, tmp_path)
    assert (tmp_path / "vocabulary.txt").read_text() == "mine"


@pytest.mark.parametrize(
    "name", ["config.json", "model.safetensors", "softmax.safetensors", "vocabulary.txt"]
)
def test_killed_while_files_are_renamed(written, make_network, monkeypatch, name):
    """A softmax never stands beside another biLM than its own, and never without its words."""
    replace = os.replace

    def fail(source, target):
        if target.name == name:
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(KeyboardInterrupt):
        write_native(make_network(seed=1), written, softmax=make_softmax(seed=1))
    assert read_softmax(written) is None
    read_native(written)


def test_a_full_disk_leaves_the_old_files(written, make_network, monkeypatch):
    before = {path.name: path.read_bytes() for path in written.iterdir()}
    write_bytes = type(written).write_bytes

    def fail(path, content):
        if "model.safetensors" in path.name:
            raise OSError("No space left on device")
        write_bytes(path, content)

    monkeypatch.setattr(type(written), "write_bytes", fail)
    with pytest.raises(OSError, match="No space left"):
        write_native(make_network(seed=1), written, softmax=make_softmax(seed=1))
    assert {path.name: path.read_bytes() for path in written.iterdir()} == before


def test_a_softmax_that_does_not_fit_is_not_written(network, softmax, tmp_path):
    infinite = softmax.bias.clone()
    infinite[3] = torch.inf
    for wrong, message in [
        (make_softmax(projection_dim=4), r"array 'weight' has shape \(7, 4\)"),
        (softmax._replace(words=WORDS[1:]), "has 7 rows, but the vocabulary has 6 words"),
        (softmax._replace(bias=infinite), "'bias' holds values that are not finite"),
        (softmax._replace(words=(*WORDS[:6], "two\nlines")), "doesn't fit on a line"),
        (softmax._replace(words=(*WORDS[:6], "")), "doesn't fit on a line"),
        (softmax._replace(words=(*WORDS[:6], "\ud83d")), "doesn't fit on a line"),
    ]:
        with pytest.raises(ValueError, match=message):
            write_native(network, tmp_path / "bilm", softmax=wrong)
        assert not (tmp_path / "bilm").exists()
    softmax.weight[0, 0] = 70_000.0
    with pytest.raises(ValueError, match=r"softmax in float16: array 'weight'.* not finite"):
        write_native(network, tmp_path / "bilm", "float16", softmax)
    assert not (tmp_path / "bilm").exists()


@pytest.mark.parametrize(
    ("array", "value", "message"),
    [
        ("weight", None, "array 'weight' is missing"),
        ("bias", None, "array 'bias' is missing"),
        ("other", torch.zeros(2), "array 'other' is unknown"),
        ("weight", torch.zeros(6, 5), r"array 'weight' has shape \(6, 5\)"),
        ("weight", torch.zeros(7, 4), r"array 'weight' has shape \(7, 4\)"),
        ("bias", torch.zeros(6), "has 6 rows, but the vocabulary has 7 words"),
        ("bias", torch.tensor(0.0), "has 0 rows, but the vocabulary has 7 words"),
        ("bias", torch.zeros(7, dtype=torch.float64), "array 'bias' has type float64"),
        ("bias", torch.full((7,), torch.nan), "array 'bias' holds values that are not finite"),
    ],
)
def test_a_damaged_softmax_is_named(written, array, value, message):
    path = written / "softmax.safetensors"
    arrays = load_file(path)
    arrays.pop(array, None)
    save_file(arrays if value is None else {**arrays, array: value}, path)
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}: .*{message}"):
        read_softmax(written)
    BiLM.load(written)  # vectors need none


@pytest.mark.parametrize("size", [0, 8, 100, -1])
def test_a_softmax_that_is_cut_off(written, size):
    path = written / "softmax.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ValueError, match="not a readable safetensors file"):
        read_softmax(written)


def test_a_softmax_without_its_vocabulary(written):
    (written / "vocabulary.txt").unlink()
    with pytest.raises(ValueError, match=re.escape(str(written / "vocabulary.txt"))):
        read_softmax(written)


# Vocabularies


def test_words_survive(tmp_path):
    path = tmp_path / "v.txt"
    path.write_bytes(words_to_bytes(WORDS))
    assert read_words(path) == WORDS


def test_vocabularies_of_other_programs(tmp_path):
    path = tmp_path / "v.txt"
    path.write_bytes("\ufeff<S>\r\n</S>\r\n!!!MAXTERMID\r\nthe".encode())
    assert read_words(path) == ("<S>", "</S>", "the")


def test_what_is_no_vocabulary(tmp_path):
    (tmp_path / "v.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"v\.txt: not a vocabulary: not UTF-8"):
        read_words(tmp_path / "v.txt")
    with pytest.raises(ValueError, match=r"Can't read the vocabulary.*nowhere\.txt"):
        read_words(tmp_path / "nowhere.txt")


# Other sources


@pytest.mark.parametrize("folder", ["plain", "many_langs_char"])
def test_formats_without_a_softmax(fixtures, folder):
    assert read_softmax(fixtures / folder) is None


def test_hdf5_beside_a_checkpoint_has_none(fixtures):
    """The biLM is read from the HDF5 file, and the softmax must be that biLM's."""
    assert read_softmax(fixtures / "tensorflow_checkpoint") is None


def test_of_an_unknown_source():
    with pytest.raises(ValueError, match="Can't find the biLM 'nowhere'"):
        read_softmax("nowhere")


@pytest.fixture
def native_files(written):
    return {path.name: path.read_bytes() for path in written.iterdir()}


@pytest.mark.parametrize("name", ["", "/", "/model.safetensors"])
def test_is_fetched_when_it_is_asked_for(serve, native_files, softmax, cache, name):
    server = serve({f"bilm/{file}": content for file, content in native_files.items()})
    url = f"{server.url}/bilm{name}"
    BiLM.load(url)
    assert not list(cache.rglob("softmax.safetensors"))
    assert_same(read_softmax(url), softmax)
    server.close()
    assert_same(read_softmax(url), softmax)


def test_a_remote_directory_without_one(serve, native_files):
    files = {name: native_files[name] for name in ("config.json", "model.safetensors")}
    server = serve({f"bilm/{name}": content for name, content in files.items()})
    assert read_softmax(f"{server.url}/bilm") is None


# Checkpoints of bilm-tf


@pytest.fixture
def checkpoint(fixtures, tmp_path):
    """The checkpoint without the HDF5 files beside it."""
    pytest.importorskip("tensorflow", exc_type=ImportError)
    folder = tmp_path / "checkpoint"
    ignored = shutil.ignore_patterns("*.hdf5", "vocab.txt")
    shutil.copytree(fixtures / "tensorflow_checkpoint", folder, ignore=ignored)
    return folder


@pytest.fixture
def vocabulary(fixtures):
    return fixtures / "tensorflow_checkpoint" / "vocab.txt"


@pytest.fixture
def variables(checkpoint):
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(checkpoint / "model.ckpt-60"))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def save_variables(prefix, variables):
    import tensorflow as tf

    specs = [""] * len(variables)
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=list(variables),
        shape_and_slices=specs,
        tensors=list(variables.values()),
    )


def test_a_checkpoint_has_the_softmax_of_training(checkpoint, vocabulary, variables):
    prefix = checkpoint / "model.ckpt-60"
    for source in (checkpoint, prefix, (checkpoint / "options.json", prefix)):
        softmax = read_softmax(source, vocabulary)
        assert softmax.words == tuple(vocabulary.read_text().split())
        np.testing.assert_array_equal(softmax.weight.numpy(), variables["lm/softmax/W"])
        np.testing.assert_array_equal(softmax.bias.numpy(), variables["lm/softmax/b"])


def test_a_checkpoints_vocabulary_may_lie_beside_it(checkpoint, vocabulary):
    with pytest.raises(MissingVocabulary, match=r"model\.ckpt-60 has a softmax.*vocab\.txt"):
        read_softmax(checkpoint)
    shutil.copy(vocabulary, checkpoint)
    assert_same(read_local_softmax(checkpoint), read_softmax(checkpoint, vocabulary))


def test_another_vocabulary_than_the_checkpoints(checkpoint, tmp_path):
    (tmp_path / "v.txt").write_text("<S>\n</S>\n<UNK>\n")
    with pytest.raises(ValueError, match="has 177 rows, but the vocabulary has 3 words"):
        read_softmax(checkpoint, tmp_path / "v.txt")


def test_a_checkpoint_in_parts(checkpoint, vocabulary, variables):
    expected = read_softmax(checkpoint, vocabulary)
    weight = variables.pop("lm/softmax/W")
    variables.update({"lm/softmax/W/part_0": weight[:50], "lm/softmax/W/part_1": weight[50:]})
    save_variables(checkpoint / "model.ckpt-60", variables)
    assert_same(read_softmax(checkpoint, vocabulary), expected)


def test_a_checkpoint_without_or_with_half_a_softmax(checkpoint, vocabulary, variables):
    prefix = checkpoint / "model.ckpt-60"
    del variables["lm/softmax/b"]
    save_variables(prefix, variables)
    with pytest.raises(ValueError, match="array 'bias' is missing"):
        read_softmax(checkpoint, vocabulary)
    del variables["lm/softmax/W"]
    assert "lm/softmax/W/Adagrad" in variables
    save_variables(prefix, variables)
    assert read_softmax(checkpoint, vocabulary) is None


def test_a_checkpoint_of_another_size(checkpoint, vocabulary):
    options = json.loads((checkpoint / "options.json").read_text())
    options["lstm"]["projection_dim"] = 13
    (checkpoint / "options.json").write_text(json.dumps(options))
    with pytest.raises(ValueError, match=r"array 'weight' has shape \(177, 12\)"):
        read_softmax(checkpoint, vocabulary)
