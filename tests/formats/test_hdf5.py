import json
import re
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from spacy_elmo.formats import read_hdf5, write_hdf5

CELL = "RNN_0/RNN/MultiRNNCell/Cell3/LSTMCell"


@pytest.fixture
def files(fixtures, tmp_path):
    """Options and weights of a biLM, to be damaged."""
    for name in ("options.json", "weights.hdf5"):
        shutil.copy(fixtures / "deep" / name, tmp_path)
    return tmp_path / "options.json", tmp_path / "weights.hdf5"


@pytest.fixture
def options_path(files):
    return files[0]


@pytest.fixture
def weights_path(files):
    return files[1]


def read_arrays(path):
    arrays = {}

    def keep(name, item):
        if isinstance(item, h5py.Dataset):
            arrays[name] = item[()]

    with h5py.File(path) as file:
        file.visititems(keep)
    return arrays


def replace_array(path, name, array):
    with h5py.File(path, "a") as file:
        del file[name]
        file[name] = array


def change_options(path, section, **values):
    options = json.loads(path.read_text())
    options[section].update(values)
    path.write_text(json.dumps(options))


def refused(files, message, array=None):
    """Asserts that reading fails with an error that names the file of weights and the array."""
    where = re.escape(str(files[1]))
    name = "" if array is None else f"array '{re.escape(array)}'"
    return pytest.raises(ValueError, match=f"^{where}: {name}.*{message}")


def test_a_network_that_was_read_owns_trainable_parameters_in_evaluation_mode(files):
    network = read_hdf5(*files)
    files[1].unlink()
    assert not network.training
    assert all(p.requires_grad and p.dtype == torch.float32 for p in network.parameters())
    n_parameters = sum(parameter.numel() for parameter in network.parameters())
    # From the options: 261 characters, two convolutions, a highway, a projection, eight cells.
    highway = 2 * (32 * 32 + 32)
    cell = 4 * 40 * 20 + 4 * 40 + 40 * 10
    convolutions = 6 * 8 + 8 + 3 * 6 * 24 + 24
    assert n_parameters == 261 * 6 + convolutions + highway + 32 * 10 + 10 + 8 * cell


@pytest.mark.parametrize("folder", ["plain", "deep", "clipped"])
def test_writes_the_arrays_and_options_it_has_read(fixtures, tmp_path, folder):
    source = fixtures / folder
    network = read_hdf5(source / "options.json", source / "weights.hdf5")
    options_path = write_hdf5(network, tmp_path / "new" / "w.hdf5")
    assert options_path == tmp_path / "new" / "options.json"
    assert sorted(path.name for path in options_path.parent.iterdir()) == ["options.json", "w.hdf5"]
    written = json.loads(options_path.read_text())
    assert written == json.loads((source / "options.json").read_text())
    expected, arrays = read_arrays(source / "weights.hdf5"), read_arrays(tmp_path / "new/w.hdf5")
    assert arrays.keys() == expected.keys()
    for name, array in expected.items():
        assert arrays[name].dtype == array.dtype == np.float32
        assert np.array_equal(arrays[name], array), name


def test_261_characters_are_written_as_262(files, options_path, tmp_path):
    """The other number of characters is that of training checkpoints; AllenNLP refuses it."""
    change_options(options_path, "char_cnn", n_characters=261)
    network = read_hdf5(*files)
    assert network.config.char_cnn.n_characters == 261
    written = write_hdf5(network, tmp_path / "new" / "w.hdf5")
    assert json.loads(written.read_text())["char_cnn"]["n_characters"] == 262
    assert network.config.char_cnn.n_characters == 261


def test_training_settings_and_foreign_arrays_are_ignored(files, options_path, weights_path):
    expected = read_hdf5(*files).state_dict()
    change_options(options_path, "lstm", dropout=0.1)
    with h5py.File(weights_path, "a") as file:
        file["softmax/W"] = np.zeros((3, 4))
        file["lm/comment"] = "a string"
    network = read_hdf5(*files)
    assert all(torch.equal(value, expected[name]) for name, value in network.state_dict().items())


def test_missing_weights(files, weights_path):
    weights_path.unlink()
    with refused(files, "not a readable HDF5 file"):
        read_hdf5(*files)


def test_missing_options(files, options_path):
    options_path.unlink()
    with pytest.raises(ValueError, match=f"{re.escape(str(options_path))}: No such file"):
        read_hdf5(*files)


@pytest.mark.parametrize("size", [0, 7, 100, 5000, 100_000, -1])
def test_truncated_weights(files, weights_path, size):
    weights_path.write_bytes(weights_path.read_bytes()[:size])
    with refused(files, "not a readable HDF5 file"):
        read_hdf5(*files)


@pytest.mark.parametrize("content", [b"<html>404</html>", b"PK\x03\x04", b"\0" * 4096])
def test_weights_of_another_kind(files, weights_path, content):
    weights_path.write_bytes(content)
    with refused(files, "not a readable HDF5 file"):
        read_hdf5(*files)


def test_a_directory_in_place_of_weights(files, weights_path):
    weights_path.unlink()
    weights_path.mkdir()
    with refused(files, "not a readable HDF5 file"):
        read_hdf5(*files)


def test_damaged_groups(files, weights_path):
    """A file of the right length whose lists of names are overwritten."""
    content = weights_path.read_bytes()
    assert content.count(b"TREE") > 2
    weights_path.write_bytes(content.replace(b"TREE", b"EERT"))
    with refused(files, "not a readable HDF5 file"):
        read_hdf5(*files)


def test_damaged_types(files, weights_path):
    """A file of the right length whose descriptions of float32 are overwritten."""
    content = weights_path.read_bytes()
    start = b"\x11\x20\x1f\x00\x04\x00\x00\x00\x00\x00\x20\x00"  # class, size, offset, precision
    assert content.count(start + b"\x17") > 2
    weights_path.write_bytes(content.replace(start + b"\x17", start + b"\xff"))
    with refused(files, "not a readable HDF5 file"):
        read_hdf5(*files)


@pytest.mark.parametrize(
    "array",
    [
        "char_embed",
        "CNN/W_cnn_1",
        "CNN/b_cnn_0",
        "CNN_high_0/W_carry",
        "CNN_high_0/b_transform",
        "CNN_proj/W_proj",
        "CNN_proj/b_proj",
        f"{CELL}/W_0",
        f"{CELL}/B",
        f"{CELL}/W_P_0",
    ],
)
def test_damaged_arrays_are_named(files, weights_path, array):
    original = read_arrays(weights_path)[array]

    for value in (np.nan, np.inf):
        damaged = original.copy()
        damaged.flat[-1] = value
        replace_array(weights_path, array, damaged)
        with refused(files, "not finite", array):
            read_hdf5(*files)

    replace_array(weights_path, array, original[:-1])
    with refused(files, r"has shape \(.*by the options it is \(", array):
        read_hdf5(*files)

    replace_array(weights_path, array, original[None])
    with refused(files, "has shape", array):
        read_hdf5(*files)

    for dtype in ("float64", "float16", "int32"):
        replace_array(weights_path, array, original.astype(dtype))
        with refused(files, f"has type {dtype}", array):
            read_hdf5(*files)

    with h5py.File(weights_path, "a") as file:
        del file[array]
    with refused(files, "is missing", array):
        read_hdf5(*files)

    with h5py.File(weights_path, "a") as file:
        file.create_group(array)
    with refused(files, "is missing", array):
        read_hdf5(*files)

    replace_array(weights_path, array, original)
    read_hdf5(*files)


@pytest.mark.parametrize(
    "array",
    [
        "RNN_0/RNN/MultiRNNCell/Cell4/LSTMCell/W_0",
        "CNN/W_cnn_2",
        "CNN_high_1/W_carry",
    ],
)
def test_an_array_of_a_further_layer_is_named(files, weights_path, array):
    with h5py.File(weights_path, "a") as file:
        file[array] = np.zeros((2, 2), dtype="float32")
    with refused(files, "4 LSTM layers, 2 convolutions, 1 highway", array):
        read_hdf5(*files)


@pytest.mark.parametrize(
    ("section", "values", "array"),
    [
        ("lstm", {"n_layers": 3}, "RNN_0/RNN/MultiRNNCell/Cell3/LSTMCell/B"),
        ("lstm", {"n_layers": 5}, "RNN_0/RNN/MultiRNNCell/Cell4/LSTMCell/W_0"),
        ("lstm", {"dim": 41}, "RNN_0/RNN/MultiRNNCell/Cell0/LSTMCell/W_0"),
        ("lstm", {"projection_dim": 11}, "CNN_proj/W_proj"),
        ("lstm", {"projection_dim": 32}, "RNN_0/RNN/MultiRNNCell/Cell0/LSTMCell/W_0"),
        ("char_cnn", {"n_highway": 0}, "CNN_high_0/W_carry"),
        ("char_cnn", {"n_highway": 2}, "CNN_high_1/W_carry"),
        ("char_cnn", {"filters": [[1, 8]]}, "CNN_high_0/W_carry"),
        ("char_cnn", {"filters": [[3, 24], [1, 8]]}, "CNN/W_cnn_0"),
        ("char_cnn", {"filters": [[1, 8], [3, 25]]}, "CNN/W_cnn_1"),
        ("char_cnn", {"embedding": {"dim": 5}}, "char_embed"),
    ],
)
def test_options_that_do_not_fit_the_weights(files, options_path, section, values, array):
    change_options(options_path, section, **values)
    with refused(files, "Do options and weights belong together", array):
        read_hdf5(*files)


@pytest.fixture
def written(make_network, tmp_path):
    """A folder with a biLM, to be overwritten by another."""
    write_hdf5(make_network(seed=1), tmp_path / "w.hdf5")
    return tmp_path


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_an_interrupted_write_leaves_the_old_files(written, make_network, monkeypatch):
    before = contents(written)
    n_calls = 0
    create_dataset = h5py.File.create_dataset

    def fail_later(*args, **kwargs):
        nonlocal n_calls
        n_calls += 1
        if n_calls == 5:
            raise OSError("No space left on device")
        return create_dataset(*args, **kwargs)

    monkeypatch.setattr(h5py.File, "create_dataset", fail_later)
    with pytest.raises(OSError, match="No space left"):
        write_hdf5(make_network(seed=2), written / "w.hdf5")
    assert n_calls == 5
    assert contents(written) == before


def test_options_of_another_model_are_not_replaced(written, make_network):
    before = contents(written)
    with pytest.raises(ValueError, match=r"options\.json belongs to another biLM"):
        write_hdf5(make_network(seed=2, n_layers=1), written / "other.hdf5")
    with pytest.raises(ValueError, match="name of the options"):
        write_hdf5(make_network(), written / "options.json")
    assert contents(written) == before
    write_hdf5(make_network(seed=2), written / "alike.hdf5")


def test_a_written_model_replaces_an_older_one(written, make_network):
    network = make_network(seed=2, n_layers=1)
    write_hdf5(network, written / "w.hdf5")
    again = read_hdf5(written / "options.json", written / "w.hdf5")
    assert again.config == network.config
    assert all(
        torch.equal(a, b) for a, b in zip(again.parameters(), network.parameters(), strict=True)
    )
    assert sorted(contents(written)) == ["options.json", "w.hdf5"]


def test_weights_are_not_replaced_if_the_options_cannot_be_written(
    written, make_network, monkeypatch
):
    before = contents(written)

    def fail(path, content):
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match="No space left"):
        write_hdf5(make_network(seed=2), written / "w.hdf5")
    assert contents(written) == before


@pytest.mark.parametrize("other", ["other.hdf5", "other.h5"])
def test_options_that_other_weights_share_are_not_replaced(written, make_network, other):
    shutil.copy(written / "w.hdf5", written / other)
    before = contents(written)
    with pytest.raises(ValueError, match=r"options\.json belongs to another biLM"):
        write_hdf5(make_network(seed=2, n_layers=1), written / "w.hdf5")
    assert contents(written) == before


@pytest.mark.parametrize("n_characters", [261, 262])
def test_options_of_the_same_model_are_kept(written, make_network, n_characters):
    """But for 261 characters, which AllenNLP refuses."""
    path = written / "options.json"
    change_options(path, "char_cnn", n_characters=n_characters)
    change_options(path, "lstm", dropout=0.1)
    before = path.read_bytes()
    write_hdf5(make_network(seed=2), written / "other.hdf5")
    if n_characters == 262:
        assert path.read_bytes() == before
    expected = json.loads(before)
    expected["char_cnn"]["n_characters"] = 262
    assert json.loads(path.read_bytes()) == expected


@pytest.mark.parametrize("how", ["external", "virtual", "soft", "link", "group"])
def test_arrays_in_other_files_are_refused(files, weights_path, tmp_path, how):
    """A file of weights would read what else lies on this machine."""
    array = "char_embed"
    shape = read_arrays(weights_path)[array].shape
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file[array] = np.ones(shape, dtype="float32")
        file["W_carry"] = np.ones(shape, dtype="float32")
    (tmp_path / "secret.bin").write_bytes(np.ones(shape, dtype="float32").tobytes())
    with h5py.File(weights_path, "a") as file:
        if how == "group":
            array = "CNN_high_0"
            del file[array]
            file[array] = h5py.ExternalLink(str(other), "/")
        else:
            del file[array]
        if how == "external":
            secret = [(str(tmp_path / "secret.bin"), 0, h5py.h5f.UNLIMITED)]
            file.create_dataset(array, shape, "float32", external=secret)
        elif how == "virtual":
            layout = h5py.VirtualLayout(shape, "float32")
            layout[:] = h5py.VirtualSource(str(other), array, shape)
            file.create_virtual_dataset(array, layout)
        elif how == "soft":
            file["elsewhere"] = np.ones(shape, dtype="float32")
            file[array] = h5py.SoftLink("/elsewhere")
        elif how == "link":
            file[array] = h5py.ExternalLink(str(other), array)
    with refused(files, "holds its own data", array):
        read_hdf5(*files)


@pytest.mark.parametrize(("section", "name"), [("lstm", "n_layers"), ("char_cnn", "n_highway")])
def test_options_of_more_layers_than_a_small_file_can_hold(files, options_path, section, name):
    change_options(options_path, section, **{name: 2**20})
    with refused(files, "arrays are too few"):
        read_hdf5(*files)


def test_an_array_that_is_larger_than_its_file(files, options_path, weights_path):
    """Of an array without data, HDF5 makes up the values: here a terabyte."""
    change_options(options_path, "char_cnn", embedding={"dim": 2**20}, filters=[[2**10, 2**10]])
    change_options(options_path, "char_cnn", max_characters_per_token=2**11)
    shapes = {
        "char_embed": (261, 2**20),
        "CNN/W_cnn_0": (1, 2**10, 2**20, 2**10),
        "CNN/b_cnn_0": (2**10,),
        "CNN_proj/W_proj": (2**10, 10),
    }
    for gate in ("carry", "transform"):
        shapes[f"CNN_high_0/W_{gate}"] = (2**10, 2**10)
        shapes[f"CNN_high_0/b_{gate}"] = (2**10,)
    with h5py.File(weights_path, "a") as file:
        del file["CNN"]
        for name, shape in shapes.items():
            if name in file:
                del file[name]
            file.create_dataset(name, shape, "float32", chunks=tuple(min(n, 64) for n in shape))
    with refused(files, "claims to hold"):
        read_hdf5(*files)


def test_a_git_lfs_pointer_is_named(files, weights_path):
    weights_path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 4\n")
    with refused(files, "a Git LFS pointer"):
        read_hdf5(*files)


@pytest.mark.slow
def test_damaged_bytes_never_give_other_vectors(written):
    """In files that were written here, which hold a digest. Headers are hit as often as data."""
    paths = written / "options.json", written / "w.hdf5"
    expected = read_hdf5(*paths).state_dict()
    original = paths[1].read_bytes()
    headers = [at for at in range(0, len(original), 8) if original[at : at + 8] != bytes(8)][:300]
    rng = np.random.default_rng(0)
    n_refused = 0
    for trial in range(300):
        at = rng.choice(headers) + rng.integers(8) if trial % 2 else rng.integers(len(original))
        damaged = bytearray(original)
        damaged[at] = rng.integers(256)
        paths[1].write_bytes(damaged)
        try:
            state = read_hdf5(*paths).state_dict()
        except ValueError:
            n_refused += 1
        else:
            assert all(torch.equal(state[name], value) for name, value in expected.items())
    assert n_refused > 50


@pytest.mark.parametrize("values", [{"cell_clip": 5.0}, {"use_skip_connections": False}])
def test_other_options_of_the_same_shape_are_refused(written, values):
    change_options(written / "options.json", "lstm", **values)
    with pytest.raises(ValueError, match=r"w\.hdf5: .*options that were written"):
        read_hdf5(written / "options.json", written / "w.hdf5")
