import h5py
import numpy as np
import pytest
import torch

from spacy_elmo.bilm import BiLMConfig
from spacy_elmo.formats.layout import array_shapes, arrays_to_parameters, parameters_to_arrays

CELL = "RNN_1/RNN/MultiRNNCell/Cell1/LSTMCell"


def read(folder):
    """The options and arrays of published weights."""
    config = BiLMConfig.model_validate_json((folder / "options.json").read_text())
    arrays = {}

    def keep(name, item):
        if isinstance(item, h5py.Dataset):
            arrays[name] = item[()]

    with h5py.File(folder / "weights.hdf5") as file:
        file.visititems(keep)
    return config, arrays


@pytest.mark.parametrize("folder", ["plain", "deep", "clipped"])
def test_names_and_shapes_are_those_of_published_files(fixtures, folder):
    config, arrays = read(fixtures / folder)
    assert array_shapes(config) == {name: array.shape for name, array in arrays.items()}


def test_no_projection_if_the_filters_have_its_width(make_network):
    config = make_network(filters=((1, 2), (3, 3)), projection_dim=5).config
    assert not any("proj" in name for name in array_shapes(config))


@pytest.mark.parametrize("folder", ["plain", "deep", "clipped"])
def test_there_and_back_is_exact(fixtures, folder):
    config, arrays = read(fixtures / folder)
    back = parameters_to_arrays(arrays_to_parameters(arrays, config), config)
    assert back.keys() == arrays.keys()
    for name, array in arrays.items():
        assert back[name].dtype == np.float32
        assert np.array_equal(back[name], array), name


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"n_highway": 0, "n_layers": 1},
        {"n_highway": 2, "n_layers": 3},
        {"filters": ((1, 2), (3, 3)), "projection_dim": 5},
    ],
)
def test_back_and_there_is_exact(make_network, options):
    network = make_network(**options)
    parameters = network.state_dict()
    arrays = parameters_to_arrays(parameters, network.config)
    assert {name: array.shape for name, array in arrays.items()} == array_shapes(network.config)
    back = arrays_to_parameters(arrays, network.config)
    assert back.keys() == parameters.keys()
    assert all(torch.equal(back[name], parameter) for name, parameter in parameters.items())


def test_gates_change_places(fixtures):
    """TensorFlow's columns are input, candidate, forget, output; PyTorch's rows are input,
    forget, candidate, output."""
    config, arrays = read(fixtures / "plain")  # 64 cells; 16 inputs above 16 recurrent rows
    parameters = arrays_to_parameters(arrays, config)
    names = {"input": 0, "candidate": 1, "forget": 2, "output": 3}
    columns = {gate: slice(64 * i, 64 * (i + 1)) for gate, i in names.items()}
    for row, gate in enumerate(["input", "forget", "candidate", "output"]):
        rows = slice(64 * row, 64 * (row + 1))
        layer = "backward_lstm.layers.1"
        for name, expected in [
            ("weight_ih", arrays[f"{CELL}/W_0"][:16, columns[gate]].T),
            ("weight_hh", arrays[f"{CELL}/W_0"][16:, columns[gate]].T),
            ("bias", arrays[f"{CELL}/B"][columns[gate]]),
        ]:
            assert np.array_equal(parameters[f"{layer}.{name}"][rows].numpy(), expected)


def test_forward_and_backward_do_not_change_places(fixtures):
    config, arrays = read(fixtures / "plain")
    parameters = arrays_to_parameters(arrays, config)
    for number, direction in [(0, "forward_lstm"), (1, "backward_lstm")]:
        published = arrays[f"RNN_{number}/RNN/MultiRNNCell/Cell0/LSTMCell/W_P_0"]
        assert np.array_equal(parameters[f"{direction}.layers.0.weight_hr"].numpy(), published.T)


def test_every_filter_keeps_its_place(fixtures):
    config, arrays = read(fixtures / "plain")
    parameters = arrays_to_parameters(arrays, config)
    convolution = parameters["token_encoder.convolutions.2.weight"]
    published = arrays["CNN/W_cnn_2"]
    assert convolution.shape == (16, 4, 3)
    for at in range(3):
        for dim in range(4):
            assert convolution[:, dim, at].tolist() == published[0, at, dim].tolist()


def test_carry_and_transform_do_not_change_places(fixtures):
    config, arrays = read(fixtures / "plain")
    parameters = arrays_to_parameters(arrays, config)
    for i in range(2):
        for gate in ("carry", "transform"):
            weight = parameters[f"token_encoder.highways.{i}.{gate}.weight"].numpy()
            assert np.array_equal(weight, arrays[f"CNN_high_{i}/W_{gate}"].T)


def test_parameters_are_contiguous(fixtures):
    config, arrays = read(fixtures / "deep")
    assert all(p.is_contiguous() for p in arrays_to_parameters(arrays, config).values())
