import pickle
import shutil
from pathlib import Path

import pytest
import torch

from spacy_elmo.formats import read_source, write_hdf5, write_native
from spacy_elmo.formats.source import bundled_names


@pytest.fixture
def network(make_network):
    return make_network()


def assert_is(network, expected):
    assert network.config == expected.config
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), expected.parameters()))


def test_the_bundled_english_model():
    assert "en_small" in bundled_names()
    network = read_source("en_small")
    assert network.config.width == 256
    assert network.config.n_layers == 3
    state = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    assert state["token_encoder.char_embedding.weight"] == (261, 16)
    assert state["token_encoder.projection.weight"] == (128, 512)
    assert state["forward_lstm.layers.0.weight_ih"] == (2048, 128)
    assert state["backward_lstm.layers.1.weight_hr"] == (128, 512)
    assert all(parameter.dtype == torch.float32 for parameter in network.parameters())


def test_a_native_directory(network, tmp_path):
    write_native(network, tmp_path)
    assert_is(read_source(tmp_path), network)
    assert_is(read_source(str(tmp_path)), network)


@pytest.mark.parametrize("weights", ["w.hdf5", "w.h5"])
@pytest.mark.parametrize("options", ["options.json", "elmo_2x4096_options.json"])
def test_a_published_directory(network, tmp_path, weights, options):
    write_hdf5(network, tmp_path / weights).rename(tmp_path / options)
    assert_is(read_source(tmp_path), network)
    assert_is(read_source(str(tmp_path / weights)), network)
    assert_is(read_source((tmp_path / options, tmp_path / weights)), network)


def test_a_pair_may_lie_in_two_places_and_have_any_names(network, tmp_path):
    write_hdf5(network, tmp_path / "one" / "w.bin").rename(tmp_path / "o.txt")
    assert_is(read_source([str(tmp_path / "o.txt"), str(tmp_path / "one" / "w.bin")]), network)


def test_a_relative_path(network, tmp_path, monkeypatch):
    write_native(network, tmp_path / "bilm")
    monkeypatch.chdir(tmp_path)
    assert_is(read_source("bilm"), network)


def test_an_unknown_source_lists_what_was_tried(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="Can't find the biLM 'en_tiny'") as error:
        read_source("en_tiny")
    for tried in ("en_small", str(tmp_path / "en_tiny"), "model.safetensors", "options.json"):
        assert tried in str(error.value)


@pytest.mark.parametrize("source", ["a\0b", "\ud800", "a/b/c"])
def test_a_name_that_is_no_path(source):
    with pytest.raises(ValueError, match="Can't find the biLM"):
        read_source(source)


def test_a_name_longer_than_paths_may_be():
    with pytest.raises(ValueError, match="Can't find the biLM"):
        read_source("x" * 300)


@pytest.mark.parametrize("source", [[], ["a"], ("a", "b", "c")])
def test_not_a_pair(source):
    with pytest.raises(ValueError, match=r"a pair \(options, weights\)"):
        read_source(source)


def test_an_empty_directory(tmp_path):
    with pytest.raises(ValueError, match=r"\*options\.json \(found: none\)") as error:
        read_source(tmp_path)
    assert str(tmp_path) in str(error.value)


def test_two_files_of_weights(network, tmp_path):
    write_hdf5(network, tmp_path / "a.hdf5")
    shutil.copy(tmp_path / "a.hdf5", tmp_path / "b.h5")
    with pytest.raises(ValueError, match=r"\(found: a\.hdf5, b\.h5\)"):
        read_source(tmp_path)
    assert_is(read_source(tmp_path / "b.h5"), network)


def test_two_files_of_options(network, tmp_path):
    write_hdf5(network, tmp_path / "a.hdf5")
    shutil.copy(tmp_path / "options.json", tmp_path / "my_options.json")
    for source in (tmp_path, tmp_path / "a.hdf5"):
        with pytest.raises(ValueError, match=r"\(found: my_options\.json, options\.json\)"):
            read_source(source)
    assert_is(read_source((tmp_path / "options.json", tmp_path / "a.hdf5")), network)


def test_weights_without_options(network, tmp_path):
    write_hdf5(network, tmp_path / "w.hdf5").unlink()
    for source in (tmp_path, tmp_path / "w.hdf5"):
        with pytest.raises(ValueError, match=r"\*options\.json \(found: none\)"):
            read_source(source)


def test_options_without_weights(network, tmp_path):
    write_hdf5(network, tmp_path / "w.hdf5")
    (tmp_path / "w.hdf5").unlink()
    with pytest.raises(ValueError, match=r"\*\.hdf5 or \*\.h5 \(found: none\)"):
        read_source(tmp_path)


def test_half_a_native_directory(network, tmp_path):
    """Not mistaken for a published one: the error names the missing file."""
    for name, other in [("config.json", "model.safetensors"), ("model.safetensors", "config.json")]:
        write_native(network, tmp_path / other)
        (tmp_path / other / name).unlink()
        with pytest.raises(ValueError, match=name):
            read_source(tmp_path / other)


class Payload:
    """Leaves a file behind if it is ever unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def test_the_payload_works(tmp_path):
    pickle.loads(pickle.dumps(Payload(tmp_path / "mark")))
    assert (tmp_path / "mark").exists()


@pytest.mark.parametrize(
    "name", ["encoder.pkl", "pytorch_model.bin", "weights.hdf5", "model.safetensors", "w.pt"]
)
@pytest.mark.parametrize("options_name", ["options.json", "config.json", None])
@pytest.mark.parametrize("save", [pickle.dump, torch.save], ids=["pickle", "torch"])
def test_nothing_that_is_pickled_is_loaded(network, tmp_path, name, options_name, save):
    folder = tmp_path / "bilm"
    folder.mkdir()
    if options_name is not None:
        (folder / options_name).write_text(network.config.model_dump_json())
    with open(folder / name, "wb") as file:
        save(Payload(tmp_path / "mark"), file)
    for source in (folder, folder / name, (folder / "options.json", folder / name)):
        with pytest.raises(ValueError, match=str(folder)):
            read_source(source)
    assert not (tmp_path / "mark").exists()
