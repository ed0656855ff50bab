import copy
import json
import re

import numpy as np
import pytest
import torch

from spacy_elmo.formats import files
from spacy_elmo.formats.files import (
    build_network,
    check_array,
    check_finite,
    parse_config,
    read_config,
    replacing,
)

FIELDS = [
    "lstm",
    "lstm.dim",
    "lstm.projection_dim",
    "lstm.n_layers",
    "lstm.cell_clip",
    "lstm.proj_clip",
    "lstm.use_skip_connections",
    "char_cnn",
    "char_cnn.activation",
    "char_cnn.filters",
    "char_cnn.n_highway",
    "char_cnn.embedding",
    "char_cnn.embedding.dim",
    "char_cnn.n_characters",
    "char_cnn.max_characters_per_token",
]


@pytest.fixture
def options(fixtures):
    return json.loads((fixtures / "plain" / "options.json").read_text())


def section_of(options, field):
    """The dictionary that holds a field, and its last name."""
    *sections, name = field.split(".")
    for section in sections:
        options = options[section]
    return options, name


def names_of(options, prefix=""):
    for name, value in options.items():
        yield prefix + name
        if isinstance(value, dict):
            yield from names_of(value, f"{prefix}{name}.")


def test_the_fields_tested_here_are_all_there_are(options):
    assert sorted(names_of(options)) == sorted(FIELDS)


def test_reads_published_options(fixtures):
    config = read_config(fixtures / "plain" / "options.json")
    assert config.lstm.dim == 64
    assert config.lstm.projection_dim == 16
    assert config.lstm.cell_clip == config.lstm.proj_clip == 3
    assert config.char_cnn.filters == ((1, 4), (2, 8), (3, 16), (4, 32), (5, 64))
    assert config.char_cnn.embedding.dim == 4


@pytest.mark.parametrize("field", FIELDS)
def test_a_missing_field_is_named(options, field):
    section, name = section_of(options, field)
    del section[name]
    with pytest.raises(ValueError, match=rf"^here: .*: {re.escape(field)}: Field required"):
        parse_config(json.dumps(options), "here")


@pytest.mark.parametrize("field", FIELDS)
def test_a_wrong_field_is_named(options, field):
    section, name = section_of(options, field)
    section[name] = "wrong"
    with pytest.raises(ValueError, match=rf"^here: .*: {re.escape(field)}: Input should be"):
        parse_config(json.dumps(options), "here")


def test_all_wrong_fields_are_named(options):
    broken = copy.deepcopy(options)
    broken["lstm"]["dim"] = -1
    del broken["char_cnn"]["activation"]
    with pytest.raises(ValueError, match=r"lstm\.dim: .*; char_cnn\.activation: ") as error:
        parse_config(json.dumps(broken), "here")
    assert "n_highway" not in str(error.value)


def test_a_misspelt_field_is_a_missing_one(options):
    options["lstm"]["cell_clips"] = options["lstm"].pop("cell_clip")
    with pytest.raises(ValueError, match=r"lstm\.cell_clip: Field required"):
        parse_config(json.dumps(options), "here")


@pytest.mark.parametrize("text", ["", "{", "not JSON", '{"lstm": }', "[]", "3", "null"])
def test_not_a_json_object(tmp_path, text):
    path = tmp_path / "options.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"^{re.escape(str(path))}: .*file: "):
        read_config(path)


def test_not_text(tmp_path):
    path = tmp_path / "options.json"
    path.write_bytes(b'{"lstm": "\xff\xfe"}')
    with pytest.raises(ValueError, match=r"options\.json: not a JSON file"):
        read_config(path)


def test_missing_options(tmp_path):
    with pytest.raises(ValueError, match=r"options: .*nowhere\.json: No such file"):
        read_config(tmp_path / "nowhere.json")


def test_a_directory_in_place_of_options(tmp_path):
    with pytest.raises(ValueError, match=rf"options: {re.escape(str(tmp_path))}: "):
        read_config(tmp_path)


def test_check_array_accepts_any_of_the_types():
    check_array("w", "B", (2, 3), (2, 3), "float16", ("float32", "float16"))


def test_check_array_names_both_shapes():
    with pytest.raises(ValueError, match=r"^w: array 'B' has shape \(3, 2\), .* \(2, 3\)"):
        check_array("w", "B", (3, 2), (2, 3), "float32", ("float32",))


def test_check_array_names_both_types():
    with pytest.raises(ValueError, match=r"^w: array 'B' has type int64, .* float32 or float16"):
        check_array("w", "B", (2, 3), (2, 3), "int64", ("float32", "float16"))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_check_finite(value):
    array = np.zeros((2, 3), dtype="float32")
    check_finite("w", "B", array)
    array[1, 2] = value
    with pytest.raises(ValueError, match=r"^w: array 'B' .*not finite"):
        check_finite("w", "B", array)


def test_large_values_are_finite():
    """Their sum is not."""
    check_finite("w", "B", np.full((2, 3), 3e38, dtype="float32"))
    check_finite("w", "B", np.full((2, 3), 6e4, dtype="float16"))


def test_infinities_of_both_signs_are_not_finite():
    with pytest.raises(ValueError, match="not finite"):
        check_finite("w", "B", np.array([np.inf, -np.inf], dtype="float32"))


def test_build_network_takes_the_parameters_and_is_ready_for_use(make_network):
    given = make_network()
    network = build_network(given.config, given.state_dict())
    assert network.config == given.config
    assert not network.training
    for name, parameter in network.named_parameters():
        assert parameter.requires_grad
        assert torch.equal(parameter, given.state_dict()[name])


def test_replacing_makes_folders_and_leaves_one_file(tmp_path):
    path = tmp_path / "new" / "folder" / "w.bin"
    with replacing(path) as temporary:
        assert temporary.parent == path.parent
        temporary.write_bytes(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_replacing_keeps_the_old_file_if_writing_fails(tmp_path, error):
    path = tmp_path / "w.bin"
    path.write_bytes(b"old")
    with pytest.raises(error), replacing(path) as temporary:  # noqa: PT012
        temporary.write_bytes(b"ne")
        raise error
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_replacing_keeps_the_old_file_if_renaming_fails(tmp_path, monkeypatch):
    def fail(*args):
        raise PermissionError("not now")

    path = tmp_path / "w.bin"
    path.write_bytes(b"old")
    monkeypatch.setattr(files.os, "replace", fail)
    with pytest.raises(PermissionError, match="not now"), replacing(path) as temporary:
        temporary.write_bytes(b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_replacing_keeps_the_old_file_if_nothing_was_written(tmp_path):
    path = tmp_path / "w.bin"
    path.write_bytes(b"old")
    with pytest.raises(FileNotFoundError), replacing(path):
        pass
    assert path.read_bytes() == b"old"
