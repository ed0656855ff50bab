import importlib.metadata
import io
import json
import re
import shutil
import subprocess
import sys
from zipfile import ZipFile

import h5py
import numpy as np
import pytest
import torch
from safetensors import safe_open
from typer.testing import CliRunner

from spacy_elmo import BiLM
from spacy_elmo.cli import elmo_cli
from spacy_elmo.cli.download import download
from spacy_elmo.formats import PUBLISHED, SoftmaxWeights, read_softmax
from spacy_elmo.formats.published import PublishedFile
from spacy_elmo.formats.source import MODELS


@pytest.fixture
def published(fixtures, tmp_path):
    folder = tmp_path / "published"
    folder.mkdir()
    for name in ("options.json", "weights.hdf5"):
        shutil.copy(fixtures / "deep" / name, folder)
    return folder


def without_blanks(text):
    """Wrapping may break a path anywhere."""
    return re.sub(r"\s", "", str(text))


def test_spacy_finds_the_commands():
    (entry_point,) = importlib.metadata.entry_points(group="spacy_cli", name="elmo")
    assert entry_point.load() is elmo_cli


def test_help_lists_the_commands(run):
    for arguments in ([], ["--help"]):
        _, output = run(*arguments)
        assert "info" in output
        assert "convert" in output
        assert "download" in output


def test_info_of_the_bundled_model(run):
    with safe_open(MODELS / "en_small" / "model.safetensors", framework="np") as file:
        n_parameters = sum(
            int(np.prod(file.get_slice(name).get_shape()))
            for name in file.keys()  # noqa: SIM118
        )
    code, output = run("info", "en_small")
    assert code == 0
    assert "Layers 3 of width 256" in output
    assert "Characters bytes embedded in 16, 50 a word" in output
    assert "Words" not in output
    assert "32 of width 1, 32 of width 2, 64 of width 3, 128 of width 4, 256 of width 5" in output
    assert "Highway layers 1" in output
    assert "2 a direction, 512 cells to 128" in output
    assert "cell none, projection none" in output
    assert f"Parameters {n_parameters:,}" in output


def test_info_of_files(run, published):
    for source in (published, published / "weights.hdf5"):
        code, output = run("info", source)
        assert code == 0
        assert "Layers 5 of width 20" in output
        assert "8 of width 1, 24 of width 3; tanh" in output
        assert "4 a direction, 40 cells to 10" in output
        assert "cell 3.0, projection 3.0" in output


def test_info_of_a_bilm_with_lexicons(run, fixtures):
    code, output = run("info", fixtures / "many_langs_char_word")
    assert code == 0
    assert "Characters 101 entries embedded in 10, 50 a word" in output
    assert "Words 58 entries embedded in 8" in output
    assert "4 of width 1, 4 of width 2, 8 of width 3, 16 of width 5; relu" in output
    code, output = run("info", fixtures / "many_langs_char")
    assert code == 0
    assert "Words none" in output


def test_info_of_an_unknown_source(run):
    code, output = run("info", "nowhere")
    assert code == 1
    assert "Can't load 'nowhere'" in output
    assert "en_small" in output


def test_info_of_damaged_files(run, published):
    weights = published / "weights.hdf5"
    weights.write_bytes(weights.read_bytes()[:1000])
    code, output = run("info", published)
    assert code == 1
    assert without_blanks(weights) in without_blanks(output)
    assert "not a readable HDF5 file" in output


@pytest.mark.parametrize("command", ["info", "convert"])
def test_a_missing_extra_is_named(run, fixtures, tmp_path, monkeypatch, command):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    output = [tmp_path / "native"] if command == "convert" else []
    code, text = run(command, fixtures / "tensorflow_checkpoint" / "model.ckpt-60", *output)
    assert code == 1
    assert "spacy-elmo[tensorflow]" in without_blanks(text)


def test_convert_writes_a_native_directory(run, published, sentences, tmp_path):
    code, output = run("convert", published, tmp_path / "native")
    assert code == 0
    assert without_blanks(f"Wrote {tmp_path / 'native'}") in without_blanks(output)
    names = sorted(path.name for path in (tmp_path / "native").iterdir())
    assert names == ["config.json", "model.safetensors"]
    expected = BiLM.load(published).embed(sentences[:3])
    for layers, other in zip(
        BiLM.load(tmp_path / "native").embed(sentences[:3]), expected, strict=True
    ):
        np.testing.assert_array_equal(layers, other)


def test_convert_there_and_back_is_exact(run, published, tmp_path):
    run("convert", published, tmp_path / "native")
    back = tmp_path / "back" / "w.hdf5"
    code, _ = run("convert", tmp_path / "native", back)
    assert code == 0
    options = json.loads((back.parent / "options.json").read_text())
    assert options == json.loads((published / "options.json").read_text())
    with h5py.File(published / "weights.hdf5") as old, h5py.File(back) as new:
        names = []
        old.visit(names.append)
        arrays = [name for name in names if isinstance(old[name], h5py.Dataset)]
        assert len(arrays) == 35
        for name in arrays:
            assert np.array_equal(new[name][()], old[name][()]), name


def test_convert_to_hdf5_under_any_name(run, published, tmp_path):
    code, _ = run("convert", published, tmp_path / "weights", "--format", "hdf5")
    assert code == 0
    with h5py.File(tmp_path / "weights") as file:
        assert "RNN_0" in file


def test_convert_of_a_bilm_with_lexicons(run, fixtures, sentences, tmp_path):
    source = fixtures / "many_langs_char_word"
    code, _ = run("convert", source, tmp_path / "native")
    assert code == 0
    expected = BiLM.load(source).embed(sentences[:3])
    for layers, other in zip(
        BiLM.load(tmp_path / "native").embed(sentences[:3]), expected, strict=True
    ):
        np.testing.assert_array_equal(layers, other)
    code, output = run("convert", source, tmp_path / "hdf5" / "w.hdf5", "--format", "hdf5")
    assert code == 1
    assert "has a lexicon, which only the native format can hold" in output
    assert not (tmp_path / "hdf5").exists()


@pytest.fixture
def with_softmax(make_network, tmp_path):
    words = ("</S>", "<S>", "<UNK>", "the")
    softmax = SoftmaxWeights(words, torch.randn(4, 5), torch.randn(4))
    BiLM(make_network()).save(tmp_path / "trained", softmax=softmax)
    return tmp_path / "trained"


def test_convert_keeps_the_softmax(run, with_softmax, tmp_path):
    code, output = run("convert", with_softmax, tmp_path / "copy")
    assert code == 0
    assert "with a softmax over 4 words" in output
    expected, softmax = read_softmax(with_softmax), read_softmax(tmp_path / "copy")
    assert softmax.words == expected.words
    assert torch.equal(softmax.weight, expected.weight)
    code, output = run("convert", with_softmax, tmp_path / "copy", "--no-softmax")
    assert code == 0
    assert "over 4 words" not in output
    assert read_softmax(tmp_path / "copy") is None


def test_convert_to_hdf5_says_that_the_softmax_is_left_out(run, with_softmax, tmp_path):
    code, output = run("convert", with_softmax, tmp_path / "h" / "w.hdf5", "--format", "hdf5")
    assert code == 0
    assert "The softmax is left out: the HDF5 layout has no place for it." in output
    assert run("convert", tmp_path / "h", tmp_path / "native")[0] == 0
    assert read_softmax(tmp_path / "native") is None


@pytest.mark.slow
def test_convert_of_a_checkpoint(run, fixtures, tmp_path):
    pytest.importorskip("tensorflow", exc_type=ImportError)
    folder = fixtures / "tensorflow_checkpoint"
    for name in ("model.ckpt-60.index", "model.ckpt-60.data-00000-of-00001", "options.json"):
        shutil.copy(folder / name, tmp_path)
    code, output = run("convert", tmp_path / "model.ckpt-60", tmp_path / "native")
    assert code == 0
    assert "The softmax is left out" in output
    assert "--vocabulary" in output
    code, _ = run(
        "convert", tmp_path / "model.ckpt-60", tmp_path / "native", "--vocabulary",
        folder / "vocab.txt",
    )  # fmt: skip
    assert code == 0
    assert len(read_softmax(tmp_path / "native").words) == 177


def test_info_of_a_softmax(run, with_softmax, published):
    _, output = run("info", with_softmax)
    assert "Softmax over 4 words" in output
    assert "Vocabulary any word; 4 were predicted in training" in output
    _, output = run("info", published)
    assert "Softmax none" in output


def test_convert_of_an_unknown_source_writes_nothing(run, tmp_path):
    code, output = run("convert", "nowhere", tmp_path / "native")
    assert code == 1
    assert "Can't convert 'nowhere'" in output
    assert "Wrote" not in output
    assert list(tmp_path.iterdir()) == []


def test_convert_of_damaged_files_writes_nothing(run, published, tmp_path):
    with h5py.File(published / "weights.hdf5", "a") as file:
        file["char_embed"][3, 3] = np.nan
    code, output = run("convert", published, tmp_path / "native")
    assert code == 1
    assert "array 'char_embed'" in output
    assert not (tmp_path / "native").exists()


@pytest.mark.parametrize("format", ["native", "hdf5"])
def test_convert_to_a_place_that_cannot_be_written(run, published, tmp_path, format):
    """A file stands where a directory has to be."""
    (tmp_path / "file").write_text("mine")
    code, output = run("convert", published, tmp_path / "file" / "bilm", "--format", format)
    assert code == 1
    assert "Can't convert" in output
    assert "Wrote" not in output
    assert (tmp_path / "file").read_text() == "mine"


def test_convert_does_not_replace_a_directory_by_a_file(run, published, tmp_path):
    (tmp_path / "folder").mkdir()
    code, _ = run("convert", published, tmp_path / "folder", "--format", "hdf5")
    assert code == 1
    assert list((tmp_path / "folder").iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "published"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["info"],
        ["convert", "en_small"],
        ["download"],
        ["convert", "en_small", "out", "--format", "pickle"],
        ["explain", "en_small"],
    ],
)
def test_wrong_usage(run, arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _ = run(*arguments)
    assert code == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_spacys_command_line_knows_the_commands():
    command = [sys.executable, "-m", "spacy", "elmo", "info", "en_small"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "3 of width 256" in done.stdout


@pytest.mark.slow
def test_docs_from_a_file_can_be_read_without_a_pipeline():
    """Importing the package is enough for the extensions."""
    code = "import spacy_elmo; from spacy.tokens import Doc; assert Doc.has_extension('elmo')"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture
def remote_bilm(serve, fixtures):
    """A server with a published biLM."""
    folder = fixtures / "deep"
    names = {"elmo_options.json": "options.json", "elmo_weights.hdf5": "weights.hdf5"}
    return serve({name: (folder / path).read_bytes() for name, path in names.items()})


def test_download_of_a_url(run, remote_bilm, cache):
    url = f"{remote_bilm.url}/elmo_weights.hdf5"
    code, output = run("download", url)
    assert code == 0
    for name in ("elmo_options.json", "elmo_weights.hdf5"):
        (path,) = cache.rglob(name)
        assert without_blanks(path) in without_blanks(output)
    assert "Layers 5 of width 20" in output
    remote_bilm.close()
    assert run("download", url)[0] == 0
    code, output = run("info", url)
    assert code == 0
    assert "Layers 5 of width 20" in output


def test_download_of_a_published_name(run, remote_bilm, monkeypatch):
    files = tuple(
        PublishedFile(urls=(f"{remote_bilm.url}/elmo_{name}",), size=None, sha256=None)
        for name in ("options.json", "weights.hdf5")
    )
    bilm = PUBLISHED["allennlp/small"].model_copy(update={"files": files})
    monkeypatch.setitem(PUBLISHED, "allennlp/small", bilm)
    code, output = run("download", "allennlp/small")
    assert code == 0
    assert "'allennlp/small' is here" in output
    assert "Peters et al. 2018" in output
    assert "Licence" in output


def test_download_of_what_is_here_already(run, cache):
    code, output = run("download", "en_small")
    assert code == 0
    assert without_blanks(MODELS / "en_small") in without_blanks(output)
    assert list(cache.iterdir()) == []


def test_download_lists_the_published_names(run):
    code, output = run("download", "--list")
    assert code == 0
    assert "Name Language Words Licence Warning" in output
    for name, bilm in PUBLISHED.items():
        row = [name, bilm.language, bilm.words or "?", bilm.licence or "?", bilm.warning or ""]
        assert " ".join(row).strip() in output


@pytest.mark.parametrize("lang", ["nb", "Norwegian"])
def test_download_lists_one_language(run, lang):
    code, output = run("download", "--list", "--lang", lang)
    assert code == 0
    names = ["many_langs/nb", "norelmo/30", "norelmo/100", "norelmo/wiki"]
    assert all(f"{name} Norwegian" in output for name in names)
    assert ("many_langs/nn" in output) == (lang == "Norwegian")
    assert "many_langs/de" not in output and "english" not in output.lower()


def test_download_lists_no_language(run):
    code, output = run("download", "--list", "--lang", "tlh")
    assert code == 1
    assert "Nothing is published for 'tlh'" in output and "ar, bg, ca" in output
    assert run("download", "en_small", "--lang", "en")[0] == 2


@pytest.mark.parametrize("command", ["download", "info", "convert"])
def test_a_signature_is_not_shown(run, serve, tmp_path, command):
    server = serve({})
    source = f"{server.url}/a.zip?sig=secret"
    arguments = [str(tmp_path / "out")] if command == "convert" else []
    code, output = run(command, source, *arguments)
    assert code == 1
    assert "a.zip" in without_blanks(output)
    assert "secret" not in without_blanks(output)


def test_download_of_an_unknown_source(run):
    code, output = run("download", "allennlp/smal")
    assert code == 1
    assert "Can't download 'allennlp/smal'" in output
    assert "Did you mean" in output


def test_download_of_damaged_files(run, serve, fixtures):
    weights = (fixtures / "deep" / "weights.hdf5").read_bytes()[:1000]
    options = (fixtures / "deep" / "options.json").read_bytes()
    server = serve({"weights.hdf5": weights, "options.json": options})
    code, output = run("download", f"{server.url}/weights.hdf5")
    assert code == 1
    assert "not a readable HDF5 file" in output


def test_download_of_what_needs_a_missing_extra(run, serve, fixtures, monkeypatch, cache):
    folder = fixtures / "tensorflow_checkpoint"
    content = io.BytesIO()
    with ZipFile(content, "w") as archive:
        for path in folder.glob("[cmo]*"):  # the HDF5 files beside it need no TensorFlow
            archive.write(path, path.name)
    server = serve({"bilm.zip": content.getvalue()})
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    code, output = run("download", f"{server.url}/bilm.zip")
    assert code == 0
    assert "spacy-elmo[tensorflow]" in without_blanks(output)
    (unpacked,) = cache.rglob("*.unpacked")
    assert without_blanks(unpacked) in without_blanks(output)


def test_download_to_a_place_that_cannot_be_written(run, monkeypatch):
    def fail(source):
        raise OSError("No space left on device")

    monkeypatch.setitem(download.__globals__, "resolve_source", fail)
    code, output = run("download", "https://host/w.hdf5")
    assert code == 1
    assert "No space left" in output


@pytest.mark.parametrize("command", ["info", "convert", "download", "embed", "evaluate"])
def test_help_says_what_a_source_is(command):
    arguments = CliRunner().invoke(elmo_cli, [command, "--help"], env={"COLUMNS": "300"})
    assert "A bundled or published name, a path, a URL, or hf:OWNER/NAME" in arguments.output
