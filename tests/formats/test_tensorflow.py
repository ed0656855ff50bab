import json
import re
import shutil
import sys

import h5py
import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from spacy_elmo import BiLM
from spacy_elmo.bilm import ScalarMixConfig
from spacy_elmo.formats import read_checkpoint, read_hdf5, read_source

PREFIX = "model.ckpt-60"
CELL = "lm/RNN_1/rnn/multi_rnn_cell/cell_1/lstm_cell"
PUBLISHED_CELL = "RNN_1/RNN/MultiRNNCell/Cell1/LSTMCell"


@pytest.fixture(scope="session")
def tf():
    return pytest.importorskip("tensorflow", exc_type=ImportError)


@pytest.fixture
def without_tensorflow(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)


@pytest.fixture
def golden(fixtures):
    """A checkpoint that bilm-tf's training wrote, and its dump as HDF5."""
    return fixtures / "tensorflow_checkpoint"


@pytest.fixture
def dump(golden):
    return read_hdf5(golden / "options.json", golden / "weights.hdf5")


@pytest.fixture
def folder(golden, tmp_path):
    """The checkpoint alone, to be damaged."""
    folder = tmp_path / "bilm"
    shutil.copytree(golden, folder, ignore=shutil.ignore_patterns("*.hdf5"))
    return folder


@pytest.fixture
def variables(tf, golden):
    """All variables of the checkpoint, by their names."""
    reader = tf.train.load_checkpoint(str(golden / PREFIX))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


@pytest.fixture
def module_variables(golden):
    """The same biLM as the variables of a TF-Hub module: those of bilm-tf's graph for use."""
    variables = {
        "aggregation/weights": np.array([0.5, -1.0, 2.0], dtype="f"),
        "aggregation/scaling": np.array(1.5, dtype="f"),
    }
    for name, array in read_arrays(golden / "weights.hdf5").items():
        for old, new in [
            ("/LSTMCell/W_0", "/rnn/lstm_cell/kernel"),
            ("/LSTMCell/B", "/rnn/lstm_cell/bias"),
            ("/LSTMCell/W_P_0", "/rnn/lstm_cell/projection/kernel"),
        ]:
            name = re.sub(f"{old}$", new, name)
        variables[f"bilm/{name}"] = array
    table = variables["bilm/char_embed"]
    variables["bilm/char_embed"] = np.concatenate([np.zeros((1, table.shape[1]), "f"), table])
    return variables


def read_arrays(path):
    with h5py.File(path) as file:
        names = []
        file.visit(names.append)
        return {name: file[name][()] for name in names if isinstance(file[name], h5py.Dataset)}


def save_variables(tf, prefix, variables, slices=None):
    """Write a checkpoint. ``slices``: Where a variable is only a part of one: "shape slice"."""
    prefix.parent.mkdir(parents=True, exist_ok=True)
    names, specs = list(variables), [""] * len(variables)
    if slices is not None:
        names, specs = zip(*(slices.get(name, (name, "")) for name in variables), strict=True)
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=list(names),
        shape_and_slices=list(specs),
        tensors=list(variables.values()),
    )


def save_module(tf, folder, variables):
    """Write a TF-Hub module as TensorFlow 1 does: a graph with named variables."""
    v1 = tf.compat.v1
    with v1.Graph().as_default(), v1.Session() as session:
        for name, value in variables.items():
            v1.get_variable(name, initializer=tf.constant(value), use_resource=True)
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(session, [])
        builder.save()


def assert_same_weights(network, expected):
    state, expected_state = network.state_dict(), expected.state_dict()
    assert state.keys() == expected_state.keys()
    assert all(torch.equal(state[name], expected_state[name]) for name in state)


def refused(path, message):
    return pytest.raises(ValueError, match=f"^{re.escape(str(path))}: .*{message}")


# Checkpoints of training


def test_a_checkpoint_has_the_weights_of_its_dump(tf, folder, dump):
    network = read_checkpoint(folder)
    assert_same_weights(network, dump)
    assert network.config == dump.config
    assert network.config.char_cnn.n_characters == 261
    assert not network.training
    assert all(p.requires_grad and p.dtype == torch.float32 for p in network.parameters())


def test_a_checkpoint_has_the_vectors_of_the_reference(tf, folder, golden, sentences):
    layers = BiLM.load(folder).embed(sentences)
    with h5py.File(golden / "expected.hdf5") as file:
        for i, array in enumerate(layers):
            assert_allclose(array, file[str(i)][()], atol=1e-5, rtol=0)


def test_every_way_to_name_a_checkpoint(tf, folder, dump, tmp_path):
    options = shutil.copy(folder / "options.json", tmp_path / "o.json")
    for source in (folder, str(folder), folder / PREFIX, str(folder / PREFIX)):
        assert_same_weights(read_source(source), dump)
    (folder / "options.json").unlink()
    for weights in (folder, folder / PREFIX):
        assert_same_weights(read_source([str(options), str(weights)]), dump)


def test_a_converted_checkpoint_needs_no_tensorflow(tf, folder, dump, tmp_path, monkeypatch):
    bilm = BiLM.load(folder)
    bilm.save(tmp_path / "native")
    bilm.save(tmp_path / "w.hdf5", format="hdf5")
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    assert_same_weights(read_source(tmp_path / "native"), dump)
    assert_same_weights(read_source(tmp_path / "w.hdf5"), dump)


@pytest.mark.parametrize("where", ["", "/home/me/bilm/", "C:\\\\\\\\bilm\\\\"])
def test_the_latest_of_several_checkpoints(tf, folder, variables, dump, where):
    """The state file may name a path of the machine that the biLM was trained on."""
    newer = {name: array + 1 for name, array in variables.items()}
    save_variables(tf, folder / "model.ckpt-100", newer)
    names = "".join(f'all_model_checkpoint_paths: "{where}model.ckpt-{i}"\n' for i in (60, 100))
    for latest, change in [("60", 0), ("100", 1)]:
        state = f'model_checkpoint_path: "{where}model.ckpt-{latest}"\n{names}'
        (folder / "checkpoint").write_text(state)
        table = read_checkpoint(folder).token_encoder.char_embedding.weight
        assert torch.equal(table, dump.token_encoder.char_embedding.weight + change)
    table = read_checkpoint(folder / PREFIX).token_encoder.char_embedding.weight
    assert torch.equal(table, dump.token_encoder.char_embedding.weight)


def test_hdf5_beside_a_checkpoint_is_read_without_tensorflow(
    folder, golden, dump, without_tensorflow
):
    shutil.copy(golden / "weights.hdf5", folder)
    assert_same_weights(read_source(folder), dump)


def test_without_tensorflow_the_error_names_the_extra(golden, folder, without_tensorflow):
    for source in (folder, folder / PREFIX, (folder / "options.json", golden / PREFIX)):
        with pytest.raises(ImportError, match=r'pip install "spacy-elmo\[tensorflow\]"'):
            read_source(source)


def test_names_of_older_versions_of_tensorflow(tf, folder, variables, dump):
    """Before 1.2, a cell's variables had the names that the published files have."""
    renamed = {}
    for name, array in variables.items():
        for old, new in [
            (r"/rnn/multi_rnn_cell/cell_(\d)/lstm_cell/", r"/RNN/MultiRNNCell/Cell\1/LSTMCell/"),
            (r"LSTMCell/kernel", "LSTMCell/W_0"),
            (r"LSTMCell/bias", "LSTMCell/B"),
            (r"LSTMCell/projection/kernel", "LSTMCell/W_P_0"),
        ]:
            name = re.sub(old, new, name)
        renamed[name.removeprefix("lm/")] = array
    assert f"{PUBLISHED_CELL}/W_P_0" in renamed
    save_variables(tf, folder / PREFIX, renamed)
    assert_same_weights(read_checkpoint(folder), dump)


def test_partitioned_variables(tf, folder, variables, dump):
    """Either as slices of one name, as TensorFlow saves them, or under names of their own."""
    split, slices = {}, {}
    for name, array in variables.items():
        if name == "lm/char_embed":
            for i in range(11):  # more than 10: parts are ordered by number, not by text
                start, end = 24 * i, min(24 * (i + 1), 261)
                split[f"{name}/part_{i}"] = array[start:end]
                slices[f"{name}/part_{i}"] = (name, f"261 4 {start},{end - start}:0,4")
        else:
            split[name] = array
    save_variables(tf, folder / PREFIX, split)
    assert "lm/char_embed/part_10" in dict(tf.train.list_variables(str(folder / PREFIX)))
    assert_same_weights(read_checkpoint(folder), dump)
    save_variables(tf, folder / PREFIX, split, slices)
    assert "lm/char_embed" in dict(tf.train.list_variables(str(folder / PREFIX)))
    assert_same_weights(read_checkpoint(folder), dump)


@pytest.mark.parametrize(
    ("variable", "array"),
    [
        ("lm/char_embed", "char_embed"),
        ("lm/CNN/b_cnn_2", "CNN/b_cnn_2"),
        ("lm/CNN_high_0/W_carry", "CNN_high_0/W_carry"),
        ("lm/CNN_proj/b_proj", "CNN_proj/b_proj"),
        (f"{CELL}/kernel", f"{PUBLISHED_CELL}/W_0"),
        (f"{CELL}/bias", f"{PUBLISHED_CELL}/B"),
        (f"{CELL}/projection/kernel", f"{PUBLISHED_CELL}/W_P_0"),
    ],
)
def test_a_damaged_variable_is_named(tf, folder, variables, variable, array):
    """Optimizers keep variables of the same shape, which must not take its place."""
    path, name = folder / PREFIX, f"array '{re.escape(array)}'"
    value = variables.pop(variable)
    assert f"{variable}/Adagrad" in variables
    save_variables(tf, path, variables)
    with refused(path, f"{name}.* is missing"):
        read_checkpoint(folder)
    save_variables(tf, path, {**variables, variable: value[1:]})
    with refused(path, rf"{name} has shape \({len(value) - 1},.*, but by the options"):
        read_checkpoint(folder)
    save_variables(tf, path, {**variables, variable: value.astype("f8")})
    with refused(path, f"{name} has type float64"):
        read_checkpoint(folder)
    value.flat[-1] = np.nan
    save_variables(tf, path, {**variables, variable: value})
    with refused(path, f"{name} holds values that are not finite"):
        read_checkpoint(folder)


def test_more_layers_than_the_options_say(tf, folder):
    options = json.loads((folder / "options.json").read_text())
    options["lstm"]["n_layers"] = 1
    (folder / "options.json").write_text(json.dumps(options))
    with refused(folder / PREFIX, r"Cell1/LSTMCell/.* has no place .*1 LSTM layers"):
        read_checkpoint(folder)


def test_two_bilms_in_one_checkpoint(tf, folder, variables):
    save_variables(tf, folder / PREFIX, {**variables, "other/char_embed": np.zeros((261, 4), "f")})
    with refused(folder / PREFIX, "'lm/char_embed' and 'other/char_embed'"):
        read_checkpoint(folder)


def test_parts_that_do_not_fit_together(tf, folder, variables):
    table = variables.pop("lm/char_embed")
    parts = {"lm/char_embed/part_0": table[:9], "lm/char_embed/part_1": table[9:, 1:]}
    save_variables(tf, folder / PREFIX, {**variables, **parts})
    with refused(folder / PREFIX, r"parts of array 'char_embed' .*\(9, 4\), \(252, 3\)"):
        read_checkpoint(folder)


@pytest.mark.parametrize("extension", ["index", "data-00000-of-00001"])
@pytest.mark.parametrize("keep", [0, 100])
def test_a_file_that_is_cut_off(tf, folder, extension, keep):
    path = folder / f"{PREFIX}.{extension}"
    path.write_bytes(path.read_bytes()[:keep])
    with refused(folder / PREFIX, "not a readable TensorFlow checkpoint"):
        read_checkpoint(folder)


def test_missing_files(tf, folder):
    for extension, message in [
        ("data-00000-of-00001", "not a readable TensorFlow checkpoint"),
        ("index", r"\.index: no such file"),
    ]:
        (folder / f"{PREFIX}.{extension}").unlink()
        with pytest.raises(ValueError, match=f"{re.escape(str(folder / PREFIX))}.*{message}"):
            read_checkpoint(folder)
    with pytest.raises(ValueError, match="Can't find the biLM"):
        read_source(folder / PREFIX)


def test_missing_options(tf, folder):
    (folder / "options.json").unlink()
    for path in (folder, folder / PREFIX):
        with pytest.raises(ValueError, match=re.escape(str(folder / "options.json"))):
            read_checkpoint(path)


@pytest.mark.parametrize("state", ["", "no such field", 'model_checkpoint_path: ""'])
def test_a_state_file_without_a_checkpoint(tf, folder, state):
    (folder / "checkpoint").write_text(state)
    with refused(folder / "checkpoint", "doesn't name a checkpoint"):
        read_checkpoint(folder)


# Modules of TF-Hub


def test_a_module_is_the_bilm_with_published_settings_and_its_mix(
    tf, tmp_path, module_variables, dump
):
    save_module(tf, tmp_path / "elmo", module_variables)
    assert (tmp_path / "elmo" / "saved_model.pb").exists()
    network = read_source(str(tmp_path / "elmo"))
    assert_same_weights(network, dump)
    # The settings of the fixture are the published ones: relu, 50 characters, clips at 3, skips.
    assert network.config.lstm == dump.config.lstm
    assert network.config.char_cnn == dump.config.char_cnn.model_copy(update={"n_characters": 262})
    assert network.config.scalar_mix == ScalarMixConfig(weights=(0.5, -1.0, 2.0), gamma=1.5)


def test_a_module_has_the_vectors_of_the_reference(
    tf, tmp_path, module_variables, golden, sentences
):
    save_module(tf, tmp_path / "elmo", module_variables)
    layers = BiLM.load(tmp_path / "elmo").embed(sentences)
    with h5py.File(golden / "expected.hdf5") as file:
        for i, array in enumerate(layers):
            assert_allclose(array, file[str(i)][()], atol=1e-5, rtol=0)


@pytest.mark.parametrize("n_highway", [0, 1, 2])
@pytest.mark.parametrize("projects", [True, False])
def test_sizes_of_a_module_are_those_of_its_arrays(tf, tmp_path, make_network, n_highway, projects):
    filters = ((1, 2), (4, 3), (2, 6))
    expected = make_network(
        n_layers=3,
        projection_dim=5 if projects else 11,
        cell_clip=3,
        proj_clip=3,
        filters=filters,
        n_highway=n_highway,
    )
    BiLM(expected).save(tmp_path / "w.hdf5", format="hdf5")
    save_module(tf, tmp_path / "elmo", read_arrays(tmp_path / "w.hdf5"))
    network = read_source(tmp_path / "elmo")
    assert network.config == expected.config
    assert_same_weights(network, expected)


def test_a_module_of_other_settings_takes_options(tf, tmp_path, module_variables, golden):
    options = json.loads((golden / "options.json").read_text())
    options["char_cnn"]["activation"] = "tanh"
    (tmp_path / "tanh.json").write_text(json.dumps(options))
    save_module(tf, tmp_path / "elmo", module_variables)
    networks = [read_source((tmp_path / "tanh.json", tmp_path / "elmo"))]
    shutil.copy(tmp_path / "tanh.json", tmp_path / "elmo" / "options.json")
    networks.append(read_source(tmp_path / "elmo"))
    for network in networks:
        assert network.config.char_cnn.activation == "tanh"
        assert network.config.scalar_mix is not None


def test_the_mix_has_other_names_in_modules_made_with_bilm_tf(tf, tmp_path, module_variables):
    module_variables["elmo_output_ELMo_W"] = module_variables.pop("aggregation/weights")
    scaling = module_variables.pop("aggregation/scaling")
    module_variables["elmo_output_ELMo_gamma"] = scaling.reshape(1)
    save_module(tf, tmp_path, module_variables)
    mix = read_source(tmp_path).config.scalar_mix
    assert mix == ScalarMixConfig(weights=(0.5, -1.0, 2.0), gamma=1.5)


def test_a_module_without_a_mix(tf, tmp_path, module_variables):
    del module_variables["aggregation/weights"], module_variables["aggregation/scaling"]
    save_module(tf, tmp_path, module_variables)
    assert read_source(tmp_path).config.scalar_mix is None


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("aggregation/weights", None, "is missing"),
        ("aggregation/scaling", None, "is missing"),
        ("aggregation/weights", np.zeros(4, "f"), r"has shape \(4,\), .* \(3,\)"),
        ("aggregation/scaling", np.zeros(2, "f"), r"has shape \(2,\), .* \(1,\)"),
        ("aggregation/scaling", np.array(np.inf, "f"), "not finite"),
        ("aggregation/weights", np.zeros(3, "f8"), "has type float64"),
        ("bilm/char_embed", None, "is missing. .*reads characters"),
        ("bilm/char_embed", np.zeros(4, "f"), r"has shape \(4,\)"),
        ("bilm/char_embed", np.ones((262, 4), "f"), r"has shape \(262, 4\), .* \(261, 4\)"),
        ("bilm/CNN/W_cnn_1", None, "is missing"),
        ("bilm/CNN/b_cnn_1", None, "is missing"),
        ("bilm/CNN/W_cnn_0", np.ones((4, 4), "f"), r"has shape \(4, 4\)"),
        ("bilm/CNN_high_0/W_transform", None, "is missing"),
        ("bilm/CNN_proj/W_proj", None, "is missing"),
    ],
)
def test_a_damaged_module(tf, tmp_path, module_variables, variable, value, message):
    if value is None:
        del module_variables[variable]
    else:
        module_variables[variable] = value
    save_module(tf, tmp_path / "elmo", module_variables)
    name = re.escape(variable.removeprefix("bilm/"))
    with refused(tmp_path / "elmo" / "variables" / "variables", f"array '{name}'.* {message}"):
        read_source(tmp_path / "elmo")


@pytest.mark.parametrize("missing", ["kernel", "bias", "projection/kernel"])
@pytest.mark.parametrize("cell", ["RNN_0/RNN/MultiRNNCell/Cell0", "RNN_1/RNN/MultiRNNCell/Cell1"])
def test_a_module_with_a_damaged_cell(tf, tmp_path, module_variables, cell, missing):
    del module_variables[f"bilm/{cell}/rnn/lstm_cell/{missing}"]
    save_module(tf, tmp_path, module_variables)
    with refused(tmp_path / "variables" / "variables", f"array '{cell}/LSTMCell.* is missing"):
        read_source(tmp_path)


def test_another_kind_of_module(tf, tmp_path):
    save_module(tf, tmp_path, {"encoder/embeddings": np.ones((3, 2), "f")})
    with refused(tmp_path / "variables" / "variables", "reads characters"):
        read_source(tmp_path)


def test_a_module_without_tensorflow(tmp_path, without_tensorflow):
    (tmp_path / "variables").mkdir()
    (tmp_path / "variables" / "variables.index").touch()
    with pytest.raises(ImportError, match=r"spacy-elmo\[tensorflow\]"):
        read_source(tmp_path)


def test_the_mix_survives_the_native_format_and_is_left_out_of_hdf5(tf, tmp_path, module_variables):
    save_module(tf, tmp_path / "elmo", module_variables)
    bilm = BiLM.load(tmp_path / "elmo")
    bilm.save(tmp_path / "native")
    assert BiLM.load(tmp_path / "native").config == bilm.config
    bilm.save(tmp_path / "w.hdf5", format="hdf5")
    assert "scalar_mix" not in (tmp_path / "options.json").read_text()
    assert BiLM.load(tmp_path / "w.hdf5").config.scalar_mix is None


@pytest.mark.parametrize("end", [".index", ".data-00000-of-00001"])
def test_a_git_lfs_pointer_is_named(tf, folder, end):
    path = folder / f"{PREFIX}{end}"
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 4\n")
    with refused(path, "a Git LFS pointer"):
        read_checkpoint(folder)


@pytest.mark.parametrize(("section", "name"), [("lstm", "n_layers"), ("char_cnn", "n_highway")])
def test_options_of_more_layers_than_a_small_file_can_hold(tf, folder, section, name):
    options = json.loads((folder / "options.json").read_text())
    options[section][name] = 2**20
    (folder / "options.json").write_text(json.dumps(options))
    with refused(folder / PREFIX, "arrays are too few"):
        read_checkpoint(folder)


def test_a_variable_that_is_larger_than_its_file(tf, folder, variables):
    """One number is stored of four terabytes."""
    variables["lm/char_embed"] = np.zeros((1, 1), dtype="float32")
    spec = f"{2**20} {2**20} 0,1:0,1"
    save_variables(tf, folder / PREFIX, variables, {"lm/char_embed": ("lm/char_embed", spec)})
    with refused(folder / PREFIX, "claims to hold"):
        read_checkpoint(folder)
