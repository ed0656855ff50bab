import json
import pickle
import re
import shutil
from collections import OrderedDict
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import h5py
import numpy as np
import pytest
import torch

from spacy_elmo.bilm import Engine
from spacy_elmo.formats import (
    many_langs,
    network_from_bytes,
    network_to_bytes,
    read_hdf5,
    read_many_langs,
    read_native,
    read_source,
    write_hdf5,
    write_native,
)

FOLDERS = ["many_langs_char", "many_langs_char_word"]
FILES = ["config.json", "cnn_config.json", "char.dic", "encoder.pkl", "token_embedder.pkl"]

# Layer 0 of these biLMs reaches 89. In float32 the published code itself is up to 5e-5 from what
# it computes in float64, and so are we.
FLOAT32 = 1e-4
# In float64 there remains what is rounded when the forget gates' bias is converted.
FLOAT64 = 1e-6

PUBLISHED = {
    "encoder": {
        "name": "elmo",
        "projection_dim": 512,
        "cell_clip": 3,
        "proj_clip": 3,
        "dim": 4096,
        "n_layers": 2,
    },
    "token_embedder": {
        "name": "cnn",
        "activation": "relu",
        "filters": [[1, 32], [2, 32], [3, 64], [4, 128], [5, 256], [6, 512], [7, 1024]],
        "n_highway": 2,
        "word_dim": 100,
        "char_dim": 50,
        "max_characters_per_token": 50,
    },
    "classifier": {"name": "sampled_softmax", "n_samples": 8192},
    "dropout": 0.1,
}
PUBLISHED_NAMES = ["cnn_50_100_512_4096_sample.json", "cnn_0_100_512_4096_sample.json"]


@pytest.fixture
def unusual(fixtures):
    """Boundaries and other special entries as words, white space, words at the cut, combining
    and right-to-left characters, emoji, lone surrogates."""
    return json.loads((fixtures / "unusual_sentences.json").read_text(encoding="utf-8"))


@pytest.fixture
def folder(fixtures, tmp_path):
    """A biLM with both lexicons, to be damaged."""
    for name in [*FILES, "word.dic"]:
        (tmp_path / "bilm").mkdir(exist_ok=True)
        shutil.copy(fixtures / "many_langs_char_word" / name, tmp_path / "bilm")
    return tmp_path / "bilm"


def embed(network, sentences):
    with torch.no_grad():
        return [layers.numpy() for layers in Engine(network)(sentences)]


def assert_close(got, path, names, atol):
    with h5py.File(path) as file:
        expected = [file[name][()] for name in names]
    assert len(got) == len(expected)
    for layers, other in zip(got, expected, strict=True):
        assert layers.dtype == other.dtype
        assert other.std() > 0.1
        np.testing.assert_allclose(layers, other, atol=atol, rtol=0)


def change_json(path, section=None, **values):
    content = json.loads(path.read_text())
    (content if section is None else content[section]).update(values)
    path.write_text(json.dumps(content))


def change_array(path, name, value):
    """Replace an array, or remove it if the value is None."""
    state = torch.load(path, weights_only=True)
    if value is None:
        del state[name]
    else:
        state[name] = value
    torch.save(state, path)


def refused(path, message):
    return pytest.raises(ValueError, match=f"{re.escape(str(path))}.*{message}")


@pytest.mark.parametrize("name", FOLDERS)
def test_vectors_of_the_published_code(fixtures, sentences, unusual, name):
    folder = fixtures / name
    keys = [str(i) for i in range(len(sentences))]
    network = read_many_langs(folder)
    assert not network.training
    assert_close(embed(network, sentences), folder / "expected.hdf5", keys, FLOAT32)
    network.double()
    together = embed(network, sentences)
    assert_close(together, folder / "expected_float64.hdf5", keys, FLOAT64)
    alone = [embed(network, [words])[0] for words in sentences]
    assert_close(alone, folder / "expected_float64.hdf5", keys, FLOAT64)
    keys = [f"unusual/{i}" for i in range(len(unusual))]
    assert_close(embed(network, unusual), folder / "expected_float64.hdf5", keys, FLOAT64)


def test_config(fixtures):
    with_words = read_many_langs(fixtures / "many_langs_char_word").config
    assert with_words.n_layers == 3
    assert with_words.width == 24
    assert with_words.lstm.use_skip_connections
    assert with_words.char_cnn.filters == ((1, 4), (2, 4), (3, 8), (5, 16))
    assert with_words.char_cnn.characters.dim == 10
    assert len(with_words.char_cnn.characters.entries) == 101
    assert with_words.char_cnn.words.dim == 8
    assert with_words.char_cnn.words.entries[:5] == ("<oov>", "<bos>", "<eos>", "<pad>", "!")
    without = read_many_langs(fixtures / "many_langs_char").config
    assert without.char_cnn.words is None
    assert without.char_cnn.characters == with_words.char_cnn.characters


@pytest.mark.parametrize("name", FOLDERS)
def test_native_there_and_back_no_bit_changes(fixtures, tmp_path, name):
    network = read_source(fixtures / name)
    write_native(network, tmp_path / "native")
    again = read_source(tmp_path / "native")
    assert again.config == network.config
    for copied in (again, network_from_bytes(network.config, network_to_bytes(network))):
        for key, tensor in network.state_dict().items():
            assert torch.equal(copied.state_dict()[key], tensor), key


def test_a_native_directory_with_a_damaged_lexicon(fixtures, tmp_path):
    write_native(read_source(fixtures / "many_langs_char_word"), tmp_path)
    options = json.loads((tmp_path / "config.json").read_text())
    options["char_cnn"]["words"]["entries"].pop()
    (tmp_path / "config.json").write_text(json.dumps(options))
    with refused(tmp_path, r"array 'token_encoder\.word_embedding\.weight' has shape \(58, 8\)"):
        read_native(tmp_path)
    options["char_cnn"]["words"]["entries"][7] = "!"
    (tmp_path / "config.json").write_text(json.dumps(options))
    with refused(tmp_path, r"options of a biLM: char_cnn\.words\.entries: .*stands there twice"):
        read_native(tmp_path)


def test_the_published_hdf5_layout_has_no_place_for_a_lexicon(fixtures, tmp_path):
    network = read_source(fixtures / "many_langs_char")
    with pytest.raises(ValueError, match="lexicon.*native format"):
        write_hdf5(network, tmp_path / "w.hdf5")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "options.json").write_text(network.config.model_dump_json())
    shutil.copy(fixtures / "plain" / "weights.hdf5", tmp_path)
    with pytest.raises(ValueError, match="lexicon.*native format"):
        read_hdf5(tmp_path / "options.json", tmp_path / "weights.hdf5")


def test_the_forget_gates_bias(folder):
    """Ours has 1 added when it runs, the published one hasn't."""
    name = "backward_layer_1.state_linearity.bias"
    generator = torch.Generator().manual_seed(0)
    stored = torch.rand(40, generator=generator) * 3 + 0.5
    stored[30:] = torch.rand(10, generator=generator) * 1.5 - 1
    bias = torch.load(folder / "encoder.pkl", weights_only=True)[name]
    bias[40:80] = stored
    change_array(folder / "encoder.pkl", name, bias)
    ours = read_many_langs(folder).backward_lstm.layers[1].bias.detach().clone()
    ours[40:80] += 1.0
    assert torch.equal(ours[:70], bias[:70])
    assert torch.equal(ours[80:], bias[80:])
    assert (ours - bias).abs().max() <= 6e-8


# ---- where it is found ----


def test_an_unpacked_archive_may_hold_one_folder(folder, tmp_path):
    assert read_source(tmp_path).config == read_many_langs(folder).config
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / ".DS_Store").write_bytes(b"")
    assert read_source(str(tmp_path)).config == read_many_langs(folder).config


def test_two_folders_are_ambiguous(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "other")
    with refused(tmp_path, r"expected one file \*options\.json"):
        read_source(tmp_path)


def test_a_native_directory_goes_first(folder, make_network):
    network = make_network()
    write_native(network, folder)
    assert read_source(folder).config == network.config


@pytest.mark.parametrize("name", ["config.json", "char.dic", "word.dic", "encoder.pkl"])
def test_a_missing_file(folder, name):
    (folder / name).unlink()
    with refused(folder / name, "No such file"):
        read_source(folder)


def test_without_a_lexicon_of_words_its_file_is_not_read(fixtures, tmp_path):
    for name in FILES:
        shutil.copy(fixtures / "many_langs_char" / name, tmp_path)
    (tmp_path / "word.dic").write_text("as training leaves it behind\n")
    assert read_source(tmp_path).config.char_cnn.words is None


# ---- settings ----


@pytest.mark.parametrize("path", ["{}", "../elsewhere.json", r"..\elsewhere.json", "file://{}"])
def test_a_path_that_leads_elsewhere_is_not_opened(folder, tmp_path, path):
    """An archive from elsewhere would choose a file of this machine."""
    shutil.move(folder / "cnn_config.json", tmp_path / "elsewhere.json")
    path = path.format(tmp_path / "elsewhere.json")
    change_json(folder / "config.json", config_path=path)
    with refused(folder / "config.json", "config_path"):
        read_many_langs(folder)


def test_the_folder_goes_before_the_given_path(folder, tmp_path):
    shutil.copy(folder / "cnn_config.json", tmp_path / "cnn_config.json")
    change_json(tmp_path / "cnn_config.json", "encoder", cell_clip=5)
    for path in (str(tmp_path / "cnn_config.json"), "../cnn_config.json"):
        change_json(folder / "config.json", config_path=path)
        assert read_many_langs(folder).config.lstm.cell_clip == 3


@pytest.mark.parametrize("path", ["/users4/x/cnn_config.json", r"C:\models\cnn_config.json"])
def test_settings_in_the_folder(folder, path):
    change_json(folder / "config.json", config_path=path)
    assert read_many_langs(folder).config.lstm.dim == 40


def test_settings_in_the_folder_go_before_the_published_ones(folder):
    (folder / "cnn_config.json").rename(folder / PUBLISHED_NAMES[0])
    change_json(folder / "config.json", config_path="/home/x/" + PUBLISHED_NAMES[0])
    assert read_many_langs(folder).config.lstm.dim == 40


def published_arrays(n_characters, n_words):
    """State dicts of a published biLM, all zeros. Stored, each array is one number."""

    def zeros(*shape):
        return torch.zeros(1).expand(*shape)

    embedder = {
        "char_emb_layer.embedding.weight": zeros(n_characters, 50),
        "projection.weight": zeros(512, 2048 + (100 if n_words else 0)),
        "projection.bias": zeros(512),
    }
    if n_words:
        embedder["word_emb_layer.embedding.weight"] = zeros(n_words, 100)
    for i, (width, n) in enumerate(PUBLISHED["token_embedder"]["filters"]):
        embedder[f"convolutions.{i}.weight"] = zeros(n, 50, width)
        embedder[f"convolutions.{i}.bias"] = zeros(n)
    for i in range(2):
        embedder[f"highways._layers.{i}.weight"] = zeros(4096, 2048)
        embedder[f"highways._layers.{i}.bias"] = zeros(4096)
    encoder = {}
    for cell in ("forward_layer_0", "forward_layer_1", "backward_layer_0", "backward_layer_1"):
        encoder[f"{cell}.input_linearity.weight"] = zeros(16384, 512)
        encoder[f"{cell}.state_linearity.weight"] = zeros(16384, 512)
        encoder[f"{cell}.state_linearity.bias"] = zeros(16384)
        encoder[f"{cell}.state_projection.weight"] = zeros(512, 4096)
    return embedder, encoder


@pytest.mark.parametrize("has_words", [True, False])
@pytest.mark.parametrize("name", PUBLISHED_NAMES)
def test_published_settings_need_no_file(folder, monkeypatch, name, has_words):
    """Whether there are embeddings of words is seen in the weights: ``word.dic`` is there in any
    case. With the file, which is the same for both, everything but that is the same."""
    embedder, encoder = published_arrays(101, 58 if has_words else 0)
    torch.save(embedder, folder / "token_embedder.pkl")
    torch.save(encoder, folder / "encoder.pkl")
    change_json(folder / "config.json", config_path=f"/Users/x/word_elmo/{name}")
    # The networks themselves would be of 94 million parameters.
    monkeypatch.setattr(many_langs, "build_network", lambda config, parameters: config)
    monkeypatch.setattr(many_langs, "check_growth", lambda *args: None)
    without = read_many_langs(folder)
    assert (without.char_cnn.words is not None) == has_words
    (folder / name).write_text(json.dumps(PUBLISHED))
    change_json(folder / name, "token_embedder", word_dim=100 if has_words else 0)
    assert read_many_langs(folder) == without


def test_settings_that_are_nowhere(folder):
    (folder / "cnn_config.json").unlink()
    with refused(folder / "config.json", "'/nonexistent/.*config_path"):
        read_many_langs(folder)


@pytest.mark.parametrize("path", ["", "/", "a\0b", "\ud800"])
def test_a_path_of_settings_that_is_none(folder, path):
    change_json(folder / "config.json", config_path=path)
    with refused(folder / "config.json", "config_path|Invalid JSON"):
        read_many_langs(folder)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"config_path": 3}'])
def test_training_arguments_of_another_kind(folder, content):
    (folder / "config.json").write_text(content)
    with refused(folder / "config.json", "not the arguments of a training"):
        read_many_langs(folder)


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        ("encoder", {"name": "lstm"}, r"encoder\.name: Input should be 'elmo'"),
        ("encoder", {"dim": 0}, r"encoder\.dim: "),
        ("encoder", {"cell_clip": "3"}, r"encoder\.cell_clip: "),
        ("token_embedder", {"name": "lstm"}, r"token_embedder\.name: Input should be 'cnn'"),
        ("token_embedder", {"char_dim": 0}, r"token_embedder\.char_dim: .*greater than 0"),
        ("token_embedder", {"activation": "gelu"}, r"token_embedder\.activation: "),
    ],
)
def test_settings_of_another_kind(folder, section, values, message):
    change_json(folder / "cnn_config.json", section, **values)
    with refused(folder / "cnn_config.json", message):
        read_many_langs(folder)


@pytest.mark.parametrize("values", [{"filters": []}, {"max_characters_per_token": 6}])
def test_settings_that_no_bilm_can_have(folder, values):
    change_json(folder / "cnn_config.json", "token_embedder", **values)
    with refused(folder, rf"char_cnn\.{next(iter(values))}: "):
        read_many_langs(folder)


@pytest.mark.parametrize("clip", [0, 0.0, None])
def test_no_clip(folder, clip):
    change_json(folder / "cnn_config.json", "encoder", cell_clip=clip)
    lstm = read_many_langs(folder).config.lstm
    assert lstm.cell_clip is None
    assert lstm.proj_clip == 3


# ---- lexicons ----


def change_lexicon(path, **entries):
    """Give the entries with these ids (``_5``) other names."""
    lines = path.read_text(encoding="utf-8").split("\n")
    for id_, entry in entries.items():
        lines[int(id_[1:])] = f"{entry}\t{id_[1:]}"
    path.write_bytes("\n".join(lines).encode("utf-8"))


def test_a_line_of_one_field_is_an_ideographic_space(folder):
    path = folder / "char.dic"
    expected = read_many_langs(folder).config
    assert expected.char_cnn.characters.entries[100] == "\u3000"
    path.write_text(path.read_text(encoding="utf-8").replace("\u3000\t100", "100"), "utf-8")
    assert read_many_langs(folder).config == expected


def test_white_space_is_an_ideographic_space_too(folder):
    """The published code strips lines."""
    change_lexicon(folder / "char.dic", _100="\u00a0")
    assert read_many_langs(folder).config.char_cnn.characters.entries[100] == "\u3000"


def test_other_ends_of_lines_and_another_order(folder):
    path = folder / "word.dic"
    expected = read_many_langs(folder).config
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    path.write_bytes("\r\n".join(reversed(lines)).encode("utf-8"))
    assert read_many_langs(folder).config == expected


def test_unusual_entries(folder):
    names = ["a b", "x\u2028y", "a\u0085b", "e\u0301", "👩\u200d👩", "\u202eabc", "\ufeff"]
    change_lexicon(folder / "word.dic", **{f"_{20 + i}": name for i, name in enumerate(names)})
    assert read_many_langs(folder).config.char_cnn.words.entries[20:27] == tuple(names)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "line 8 is not an entry"),
        ("a", "line 8 is not an entry"),
        ("a\tb", "line 8 is not an entry"),
        ("a\tb\t7", "line 8 is not an entry"),
        ("a\t-7", "line 8 is not an entry"),
        ("a\t7.0", "line 8 is not an entry"),
        ("a\t6", r"ids of its 58 different entries aren't the numbers from 0 to 57"),
        ("a\t58", r"ids of its 58 different entries aren't the numbers from 0 to 57"),
        ("bank\t7", r"ids of its 57 different entries aren't the numbers from 0 to 56"),
    ],
)
def test_damaged_lines(folder, line, message):
    path = folder / "word.dic"
    lines = path.read_text(encoding="utf-8").split("\n")
    path.write_text("\n".join([*lines[:7], line, *lines[8:]]), encoding="utf-8")
    with refused(path, message):
        read_many_langs(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "line 1 is not an entry"),
        (b"<html>404</html>", "line 1 is not an entry"),
        (b"\xff\xfe<\0o\0", "not a lexicon in UTF-8"),
    ],
)
def test_a_lexicon_of_another_kind(folder, content, message):
    (folder / "char.dic").write_bytes(content)
    with refused(folder / "char.dic", message):
        read_many_langs(folder)


@pytest.mark.parametrize("id_", [0, 1, 2, 3, 4, 5])
def test_a_lexicon_without_a_special_character(folder, id_):
    name = (folder / "char.dic").read_text(encoding="utf-8").split("\n")[id_].split("\t")[0]
    change_lexicon(folder / "char.dic", **{f"_{id_}": "§"})
    with refused(folder, rf"char_cnn\.characters.*: .*there is no entry {name}"):
        read_many_langs(folder)


def test_the_lexicon_of_another_bilm(folder):
    path = folder / "word.dic"
    path.write_text(path.read_text(encoding="utf-8") + "more\t58\n", encoding="utf-8")
    with refused(
        folder / "token_embedder.pkl",
        r"'word_emb_layer\.embedding\.weight' has shape \(58, 8\), but by the options it is \(59",
    ):
        read_many_langs(folder)


# ---- weights ----

ARRAYS = [
    ("token_embedder.pkl", "word_emb_layer.embedding.weight"),
    ("token_embedder.pkl", "char_emb_layer.embedding.weight"),
    ("token_embedder.pkl", "convolutions.3.weight"),
    ("token_embedder.pkl", "convolutions.0.bias"),
    ("token_embedder.pkl", "highways._layers.1.weight"),
    ("token_embedder.pkl", "highways._layers.0.bias"),
    ("token_embedder.pkl", "projection.weight"),
    ("token_embedder.pkl", "projection.bias"),
    ("encoder.pkl", "forward_layer_0.input_linearity.weight"),
    ("encoder.pkl", "backward_layer_1.state_linearity.weight"),
    ("encoder.pkl", "forward_layer_1.state_linearity.bias"),
    ("encoder.pkl", "backward_layer_0.state_projection.weight"),
]


@pytest.mark.parametrize(("file", "array"), ARRAYS)
def test_damaged_arrays_are_named(folder, file, array):
    path = folder / file
    original = torch.load(path, weights_only=True)[array]
    name = f": array '{re.escape(array)}'"

    for value in (torch.nan, torch.inf):
        damaged = original.clone()
        damaged.view(-1)[-1] = value
        change_array(path, array, damaged)
        with refused(path, f"{name} .*not finite"):
            read_many_langs(folder)

    for damaged in (original[:-1].clone(), original[None]):
        change_array(path, array, damaged)
        with refused(path, rf"{name} has shape \(.*by the options it is \("):
            read_many_langs(folder)

    for dtype in ("float64", "float16", "bfloat16", "int32"):
        change_array(path, array, original.to(getattr(torch, dtype)))
        with refused(path, f"{name} has type {dtype}"):
            read_many_langs(folder)

    for damaged in (original.to_sparse(), torch.empty(original.shape, device="meta"), "text"):
        change_array(path, array, damaged)
        with refused(path, "not a state dict"):
            read_many_langs(folder)

    change_array(path, array, original)
    read_many_langs(folder)


@pytest.mark.parametrize(
    ("file", "array"), [entry for entry in ARRAYS if "word_emb_layer" not in entry[1]]
)
def test_missing_arrays_are_named(folder, file, array):
    change_array(folder / file, array, None)
    with refused(folder / file, f"array '{re.escape(array)}' is missing"):
        read_many_langs(folder)


def test_embeddings_of_words_that_the_settings_ask_for(folder):
    change_array(folder / "token_embedder.pkl", "word_emb_layer.embedding.weight", None)
    with refused(folder / "token_embedder.pkl", "'word_emb_layer.embedding.weight' is missing"):
        read_many_langs(folder)


@pytest.mark.parametrize(
    ("file", "array"),
    [
        ("encoder.pkl", "forward_layer_2.state_linearity.bias"),
        ("token_embedder.pkl", "convolutions.4.bias"),
    ],
)
def test_an_array_of_a_further_layer_is_named(folder, file, array):
    change_array(folder / file, array, torch.zeros(3))
    with refused(folder / file, f"array '{re.escape(array)}' is unknown"):
        read_many_langs(folder)


@pytest.mark.parametrize("name", ["encoder.pkl", "token_embedder.pkl"])
@pytest.mark.parametrize("size", [0, 7, 100, 5000, -1])
def test_truncated_weights(folder, name, size):
    (folder / name).write_bytes((folder / name).read_bytes()[:size])
    with refused(folder / name, "not a readable state dict"):
        read_many_langs(folder)


@pytest.mark.parametrize("content", [b"<html>404</html>", b"PK\x03\x04", b"\0" * 4096, b"\x80"])
def test_weights_of_another_kind(folder, content):
    (folder / "encoder.pkl").write_bytes(content)
    with refused(folder / "encoder.pkl", "not a readable state dict"):
        read_many_langs(folder)


@pytest.mark.parametrize("content", [[torch.zeros(3)], torch.zeros(3), {"a": [torch.zeros(3)]}, 3])
def test_tensors_that_are_no_state_dict(folder, content):
    torch.save(content, folder / "encoder.pkl")
    with refused(folder / "encoder.pkl", "not a state dict"):
        read_many_langs(folder)


def test_a_directory_in_place_of_weights(folder):
    (folder / "encoder.pkl").unlink()
    (folder / "encoder.pkl").mkdir()
    with refused(folder / "encoder.pkl", "Is a directory|Permission denied"):
        read_many_langs(folder)


def test_files_as_pytorch_0_4_wrote_them_on_a_gpu(folder):
    """One pickle after another in place of an archive, and arrays that belong on a device."""
    expected = read_many_langs(folder).state_dict()
    for name in ("encoder.pkl", "token_embedder.pkl"):
        state = torch.load(folder / name, weights_only=True)
        torch.save(state, folder / name, _use_new_zipfile_serialization=False)
        content = (folder / name).read_bytes()
        content = content.replace(b"ctorch\nFloatStorage\n", b"ctorch.cuda\nFloatStorage\n")
        content = content.replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0")
        assert b"cuda:0" in content
        assert content[:2] != b"PK"
        (folder / name).write_bytes(content)
    network = read_many_langs(folder)
    for name, tensor in network.state_dict().items():
        assert tensor.device.type == "cpu"
        assert torch.equal(tensor, expected[name])


def test_parameters_and_metadata_are_read_as_arrays(folder):
    """What ``torch.save(module.state_dict(keep_vars=True))`` leaves."""
    state = torch.load(folder / "encoder.pkl", weights_only=True)
    changed = OrderedDict((name, torch.nn.Parameter(tensor)) for name, tensor in state.items())
    changed._metadata = OrderedDict({"": {"version": 1}})
    torch.save(changed, folder / "encoder.pkl")
    network = read_many_langs(folder)
    assert all(p.is_leaf and p.requires_grad for p in network.parameters())


class Payload:
    """Leaves a file behind if it is ever unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def save_pickle(value, file):
    pickle.dump(value, file, protocol=2)


def save_legacy(value, file):
    torch.save(value, file, _use_new_zipfile_serialization=False)


@pytest.mark.parametrize("name", ["encoder.pkl", "token_embedder.pkl"])
@pytest.mark.parametrize("save", [save_pickle, torch.save, save_legacy])
def test_a_pickle_that_would_run_code_does_not(folder, tmp_path, name, save):
    mark = tmp_path / "mark"
    state = torch.load(folder / name, weights_only=True)
    for malicious in (Payload(mark), {**state, "bias": Payload(mark)}):
        with open(folder / name, "wb") as file:
            save(malicious, file)
        with refused(folder / name, "unpickling that may run code"):
            read_source(folder)
        assert not mark.exists()
    # The pickle is what it claims to be.
    pickle.loads(pickle.dumps(Payload(mark)))
    assert mark.exists()


@pytest.mark.parametrize("name", ["encoder.pkl", "token_embedder.pkl", "char.dic", "config.json"])
def test_a_git_lfs_pointer_is_named(folder, name):
    (folder / name).write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with refused(folder / name, "a Git LFS pointer"):
        read_many_langs(folder)


@pytest.mark.parametrize(
    ("section", "name"), [("encoder", "n_layers"), ("token_embedder", "n_highway")]
)
def test_settings_of_more_layers_than_a_small_file_can_hold(folder, section, name):
    change_json(folder / "cnn_config.json", section, **{name: 2**20})
    with refused(folder, "arrays are too few"):
        read_many_langs(folder)


def test_an_array_that_is_larger_than_its_file(folder):
    """A number that is repeated a million times a million times, and a zip that unpacks to more
    than weights do."""
    path = folder / "encoder.pkl"
    original = torch.load(path, weights_only=True)
    bias = torch.zeros(1).expand(2**20, 2**20)
    torch.save({**original, "forward_layer_0.state_linearity.bias": bias}, path)
    with refused(path, "claims to hold"):
        read_many_langs(folder)
    with ZipFile(path, "w", ZIP_DEFLATED) as file:
        file.writestr("archive/data/0", bytes(80_000_000))
    with refused(path, "claims to hold"):
        read_many_langs(folder)
