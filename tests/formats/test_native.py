import json
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from spacy_elmo.bilm import ScalarMixConfig
from spacy_elmo.formats import (
    network_from_bytes,
    network_to_bytes,
    read_hdf5,
    read_native,
    write_hdf5,
    write_native,
)

ARRAYS = [
    "token_encoder.char_embedding.weight",
    "token_encoder.convolutions.0.bias",
    "token_encoder.highways.0.carry.weight",
    "token_encoder.projection.bias",
    "forward_lstm.layers.0.weight_ih",
    "backward_lstm.layers.1.weight_hr",
]


@pytest.fixture
def network(make_network):
    return make_network(cell_clip=3.0, proj_clip=None)


@pytest.fixture
def written(network, tmp_path):
    """A native directory, to be damaged."""
    write_native(network, tmp_path / "bilm")
    return tmp_path / "bilm"


def change(directory, array, value):
    """Replace one stored array, or remove it if the value is None."""
    path = directory / "model.safetensors"
    tensors = load_file(path)
    if value is None:
        del tensors[array]
    else:
        tensors[array] = value
    save_file(tensors, path)


def refused(directory, message, array=None):
    """Asserts that reading fails with an error that names the file of weights and the array."""
    where = re.escape(str(directory / "model.safetensors"))
    name = "" if array is None else f"array '{re.escape(array)}'"
    return pytest.raises(ValueError, match=f"^{where}: {name}.*{message}")


def assert_same(network, expected):
    state, other = network.state_dict(), expected.state_dict()
    assert state.keys() == other.keys()
    for name, tensor in state.items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, other[name]), name


def test_reads_what_it_has_written(network, written):
    again = read_native(written)
    assert again.config == network.config
    assert not again.training
    assert all(parameter.requires_grad for parameter in again.parameters())
    assert_same(again, network)


def test_a_directory_holds_two_files_for_common_tools(network, written):
    assert sorted(path.name for path in written.iterdir()) == ["config.json", "model.safetensors"]
    options = json.loads((written / "config.json").read_text())
    assert options["lstm"] == {
        "dim": 7,
        "projection_dim": 5,
        "n_layers": 2,
        "cell_clip": 3.0,
        "proj_clip": None,
        "use_skip_connections": True,
    }
    tensors = load_file(written / "model.safetensors")
    assert {name: t.shape for name, t in tensors.items()} == {
        name: t.shape for name, t in network.state_dict().items()
    }


@pytest.mark.parametrize("folder", ["plain", "deep", "clipped"])
def test_from_hdf5_and_back_no_bit_changes(fixtures, tmp_path, folder):
    source = fixtures / folder
    write_native(read_hdf5(source / "options.json", source / "weights.hdf5"), tmp_path / "native")
    options_path = write_hdf5(read_native(tmp_path / "native"), tmp_path / "back" / "weights.hdf5")
    with (
        h5py.File(source / "weights.hdf5") as old,
        h5py.File(options_path.parent / "weights.hdf5") as new,
    ):
        names = []
        old.visit(names.append)
        others = []
        new.visit(others.append)
        assert others == names
        for name in names:
            if isinstance(old[name], h5py.Dataset):
                assert new[name].dtype == old[name].dtype
                assert np.array_equal(new[name][()], old[name][()]), name
    assert json.loads(options_path.read_text()) == json.loads((source / "options.json").read_text())


def test_a_scalar_mix_is_kept(network, tmp_path):
    mix = ScalarMixConfig(weights=(0.1, -2.5, 1e-30), gamma=0.7)
    network.config = network.config.model_copy(update={"scalar_mix": mix})
    write_native(network, tmp_path)
    assert read_native(tmp_path).config == network.config
    write_hdf5(network, tmp_path / "hdf5" / "w.hdf5")
    assert "scalar_mix" not in (tmp_path / "hdf5" / "options.json").read_text()
    written = read_hdf5(tmp_path / "hdf5" / "options.json", tmp_path / "hdf5" / "w.hdf5")
    assert written.config.scalar_mix is None


def test_options_without_a_scalar_mix(written):
    """As they were written before there were any."""
    options = json.loads((written / "config.json").read_text())
    del options["scalar_mix"]
    (written / "config.json").write_text(json.dumps(options))
    assert read_native(written).config.scalar_mix is None


def test_half_precision_halves_the_file_and_is_read_as_float32(network, written, tmp_path):
    write_native(network, tmp_path / "half", "float16")
    tensors = load_file(tmp_path / "half" / "model.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    rounded = read_native(tmp_path / "half").state_dict()
    for name, tensor in network.state_dict().items():
        expected = tensor.numpy().astype("float16").astype("float32")
        assert rounded[name].dtype == torch.float32
        assert np.array_equal(rounded[name].numpy(), expected), name
    n_bytes = 2 * sum(tensor.numel() for tensor in tensors.values())
    sizes = [(path / "model.safetensors").stat().st_size for path in (written, tmp_path / "half")]
    assert abs(sizes[0] - sizes[1] - n_bytes) < 200


def test_a_weight_too_large_for_half_precision(network, tmp_path):
    with torch.no_grad():
        network.token_encoder.projection.bias[1] = 70_000.0
    with pytest.raises(ValueError, match=r"float16.*array 'token_encoder\.projection\.bias'"):
        write_native(network, tmp_path / "half", "float16")
    assert not (tmp_path / "half").exists()
    write_native(network, tmp_path / "whole")
    assert_same(read_native(tmp_path / "whole"), network)


def test_a_weight_that_is_not_a_number_is_not_written(network, tmp_path):
    with torch.no_grad():
        network.forward_lstm.layers[1].bias[0] = torch.nan
    with pytest.raises(ValueError, match=r"array 'forward_lstm\.layers\.1\.bias' .*not finite"):
        write_native(network, tmp_path / "nan")
    with pytest.raises(ValueError, match=r"array 'forward_lstm\.layers\.1\.bias' .*not finite"):
        network_to_bytes(network)
    assert not (tmp_path / "nan").exists()


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file(written, name):
    (written / name).unlink()
    with pytest.raises(ValueError, match=re.escape(str(written / name))):
        read_native(written)


@pytest.mark.parametrize("size", [0, 7, 8, 100, -1])
def test_truncated_weights(written, size):
    path = written / "model.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    with refused(written, "not a readable safetensors file"):
        read_native(written)


@pytest.mark.parametrize("content", [b"<html>404</html>", b"\0" * 100, b"\xff" * 100])
def test_weights_of_another_kind(written, content):
    (written / "model.safetensors").write_bytes(content)
    with refused(written, "not a readable safetensors file"):
        read_native(written)


@pytest.mark.parametrize("array", ARRAYS)
def test_damaged_arrays_are_named(written, array):
    original = load_file(written / "model.safetensors")[array].clone()  # not in the mapped file

    for value in (torch.nan, torch.inf):
        damaged = original.clone()
        damaged.view(-1)[-1] = value
        change(written, array, damaged)
        with refused(written, "not finite", array):
            read_native(written)

    change(written, array, original[:-1].clone())
    with refused(written, r"has shape \(.*by the options it is \(", array):
        read_native(written)

    for dtype in ("float64", "bfloat16", "int64", "bool"):
        change(written, array, original.to(getattr(torch, dtype)))
        with refused(written, f"has type {dtype}", array):
            read_native(written)

    change(written, array, None)
    with refused(written, "is missing", array):
        read_native(written)

    change(written, array, original)
    read_native(written)


def test_an_unknown_array_is_named(written):
    change(written, "forward_lstm.layers.2.bias", torch.zeros(28))
    with refused(written, "is unknown", "forward_lstm.layers.2.bias"):
        read_native(written)


@pytest.mark.parametrize(
    ("section", "values", "array"),
    [
        ("lstm", {"n_layers": 1}, "backward_lstm.layers.1.bias"),
        ("lstm", {"n_layers": 3}, "backward_lstm.layers.2.bias"),
        ("char_cnn", {"n_highway": 0}, "token_encoder.highways.0.carry.bias"),
        ("char_cnn", {"embedding": {"dim": 3}}, "token_encoder."),
        ("lstm", {"dim": 6}, "backward_lstm.layers.0.bias"),
    ],
)
def test_options_that_do_not_fit_the_weights(written, section, values, array):
    path = written / "config.json"
    options = json.loads(path.read_text())
    options[section].update(values)
    path.write_text(json.dumps(options))
    with pytest.raises(
        ValueError, match=rf"model\.safetensors: array '{re.escape(array)}.*together"
    ):
        read_native(written)


def test_bytes_there_and_back(network):
    again = network_from_bytes(network.config, network_to_bytes(network))
    assert_same(again, network)
    assert not again.training


def test_parameters_read_from_bytes_can_be_trained(network):
    """They do not share memory with the bytes, which are immutable."""
    weights = network_to_bytes(network)
    again = network_from_bytes(network.config, weights)
    with torch.no_grad():
        for parameter in again.parameters():
            parameter.add_(1.0)
    assert_same(network_from_bytes(network.config, weights), network)


@pytest.mark.parametrize("size", [0, 7, 8, 100, -1])
def test_truncated_bytes(network, size):
    with pytest.raises(ValueError, match=r"^Serialized biLM: not readable as safetensors"):
        network_from_bytes(network.config, network_to_bytes(network)[:size])


def test_bytes_of_another_network(network, make_network):
    weights = network_to_bytes(make_network(dim=8))
    with pytest.raises(ValueError, match=r"^Serialized biLM: array '.*' has shape"):
        network_from_bytes(network.config, weights)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_an_interrupted_write_leaves_the_old_files(written, make_network, monkeypatch):
    before = contents(written)

    def fail_halfway(path, content):
        with open(path, "wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail_halfway)
    with pytest.raises(OSError, match="No space left"):
        write_native(make_network(seed=2), written)
    monkeypatch.undo()
    assert contents(written) == before


def test_a_written_model_replaces_an_older_one(written, make_network):
    network = make_network(seed=2, n_layers=1)
    write_native(network, written)
    again = read_native(written)
    assert again.config == network.config
    assert_same(again, network)
    assert sorted(contents(written)) == ["config.json", "model.safetensors"]


def test_weights_are_not_replaced_if_the_options_cannot_be_written(
    written, make_network, monkeypatch
):
    before = contents(written)
    write_bytes = Path.write_bytes

    def fail(path, content):
        if "config.json" in path.name:
            raise OSError("No space left on device")
        write_bytes(path, content)

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match="No space left"):
        write_native(make_network(seed=2), written)
    assert contents(written) == before


def test_damaged_bytes_never_give_other_vectors(network, written):
    """Wherever they are, in either file."""
    rng = np.random.default_rng(0)
    original = contents(written)
    n_refused = 0
    for name, n_trials in [("model.safetensors", 150), ("config.json", 50)]:
        for _ in range(n_trials):
            damaged = bytearray(original[name])
            for at in rng.integers(0, len(damaged), rng.integers(1, 4)):
                damaged[at] = rng.integers(256)
            (written / name).write_bytes(damaged)
            try:
                again = read_native(written)
            except ValueError:
                n_refused += 1
            else:
                assert again.config == network.config
                assert_same(again, network)
        (written / name).write_bytes(original[name])
    assert n_refused > 150
    assert_same(read_native(written), network)


def test_damaged_bytes_of_a_pipeline_never_give_other_vectors(network):
    rng = np.random.default_rng(0)
    original = network_to_bytes(network)
    for _ in range(100):
        damaged = bytearray(original)
        damaged[rng.integers(len(damaged))] ^= 1 << rng.integers(8)
        try:
            again = network_from_bytes(network.config, bytes(damaged))
        except ValueError:
            continue
        assert_same(again, network)


@pytest.mark.parametrize("values", [{"cell_clip": 5.0}, {"use_skip_connections": False}])
def test_other_options_of_the_same_shape_are_refused(network, written, values):
    path = written / "config.json"
    options = json.loads(path.read_text())
    options["lstm"].update(values)
    path.write_text(json.dumps(options))
    with refused(written, "not written with the options"):
        read_native(written)
    other = type(network.config).model_validate_json(json.dumps(options))
    with pytest.raises(ValueError, match="not written with the options"):
        network_from_bytes(other, network_to_bytes(network))


def test_files_without_a_digest_are_read(network, written):
    """As they were written before there were any, and as others write them."""
    path = written / "model.safetensors"
    save_file(load_file(path), path)
    assert_same(read_native(written), network)


def test_options_of_more_layers_than_a_small_file_can_hold(written):
    """What they ask for is not built first."""
    path = written / "config.json"
    options = json.loads(path.read_text())
    for section, name in [("lstm", "n_layers"), ("char_cnn", "n_highway")]:
        many = json.loads(json.dumps(options))
        many[section][name] = 2**20
        path.write_text(json.dumps(many))
        with refused(written, "arrays are too few"):
            read_native(written)


def test_a_git_lfs_pointer_is_named(written):
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 4\n"
    for name in ("model.safetensors", "config.json"):
        before = (written / name).read_bytes()
        (written / name).write_bytes(pointer)
        with pytest.raises(
            ValueError, match=rf"{re.escape(str(written / name))}: a Git LFS pointer"
        ):
            read_native(written)
        (written / name).write_bytes(before)
