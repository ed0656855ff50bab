"""Against a hub on this machine that answers as the Hugging Face Hub does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hub_server import TOKEN

from spacy_elmo import BiLM
from spacy_elmo.formats import (
    SoftmaxWeights,
    is_hub,
    pin_source,
    read_softmax,
    read_source,
    resolve_source,
    write_hdf5,
    write_native,
)
from spacy_elmo.formats.hub import HubSource

CARD = b"---\nlicense: mit\n---\n"


@pytest.fixture
def network(make_network):
    return make_network()


def files_of(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def native(network, tmp_path):
    """The files of a native directory."""
    write_native(network, tmp_path / "native")
    return {**files_of(tmp_path / "native"), "README.md": CARD, "pytorch_model.bin": b"no"}


@pytest.fixture
def softmax(network):
    words = ("<S>", "</S>", "<UNK>", "the")
    width = network.config.lstm.projection_dim
    return SoftmaxWeights(words, torch.randn(len(words), width), torch.randn(len(words)))


@pytest.fixture
def with_softmax(network, softmax, tmp_path):
    write_native(network, tmp_path / "softmax", softmax=softmax)
    return files_of(tmp_path / "softmax")


def assert_is(network, expected):
    for name, value in expected.state_dict().items():
        assert torch.equal(network.state_dict()[name], value)


def test_what_a_source_of_the_hub_is():
    assert is_hub("hf:me/bilm") and is_hub("hf:nonsense")
    assert not any(map(is_hub, ["me/bilm", "./hf:me/bilm", "https://hf:me", Path("hf:me/bilm"), 3]))
    assert HubSource.parse("hf:me/bilm") == HubSource("me/bilm", None)
    assert HubSource.parse("hf:me-2/a.b_c@refs/pr/1") == HubSource("me-2/a.b_c", "refs/pr/1")
    assert str(HubSource.parse("hf:me/bilm@v1")) == "hf:me/bilm@v1"


@pytest.mark.parametrize(
    "text",
    [
        *("hf:", "hf:me", "hf:/bilm", "hf:me/", "hf:me/a/b", "hf://me/bilm", "hf:me/bilm@"),
        *("hf:me/a b", "hf:me/../x", "hf:me/a..b", "hf:me/a--b", "hf:-me/a", "hf:me/bilm@a@b"),
        "hf:mé/bilm",
    ],
)
def test_a_bad_form(hub, text):
    with pytest.raises(ValueError, match="hf:OWNER/NAME, or hf:OWNER/NAME@REVISION"):
        resolve_source(text)
    assert hub.requests == []


def test_a_repository(hub, native, network):
    hub.add("me/bilm", native)
    assert_is(read_source("hf:me/bilm"), network)
    assert sorted(hub.fetched()) == ["README.md", "config.json", "model.safetensors"]
    directory = resolve_source("hf:me/bilm")
    assert (directory / "README.md").read_bytes() == CARD
    assert len(hub.fetched()) == 3  # nothing twice


def test_revisions(hub, native, network, make_network, tmp_path):
    repository = hub.add("me/bilm", native)
    (first,) = repository.commits
    newer = make_network(seed=1)
    write_native(newer, tmp_path / "newer")
    repository.branches["v1"] = first
    repository.commit(files_of(tmp_path / "newer"))
    assert_is(read_source("hf:me/bilm"), newer)
    assert_is(read_source("hf:me/bilm@v1"), network)
    assert_is(read_source(f"hf:me/bilm@{first}"), network)
    with pytest.raises(ValueError, match="hf:me/bilm@v2: the repository has no .* 'v2'"):
        read_source("hf:me/bilm@v2")


def test_a_softmax_is_fetched_when_it_is_asked_for(hub, with_softmax, softmax):
    hub.add("me/bilm", with_softmax)
    read_source("hf:me/bilm")
    assert "softmax.safetensors" not in hub.fetched()
    read = read_softmax("hf:me/bilm")
    assert read.words == softmax.words
    assert torch.equal(read.weight, softmax.weight)


def test_no_softmax(hub, native):
    hub.add("me/bilm", native)
    assert read_softmax("hf:me/bilm") is None


def test_the_softmax_of_a_loaded_bilm_is_of_its_commit(hub, with_softmax, native, softmax):
    repository = hub.add("me/bilm", with_softmax)
    (first,) = repository.commits
    assert pin_source("hf:me/bilm") == f"hf:me/bilm@{first}"
    bilm = BiLM.load("hf:me/bilm")
    repository.commit(native)
    assert bilm.softmax.words == softmax.words
    assert BiLM.load("hf:me/bilm").softmax is None
    assert pin_source("en_small") == "en_small"


def test_offline(hub, monkeypatch, with_softmax, network):
    from huggingface_hub import constants

    hub.add("me/bilm", with_softmax)
    read_source("hf:me/bilm")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    n_requests = len(hub.requests)
    assert_is(read_source("hf:me/bilm"), network)
    with pytest.raises(ValueError, match="hf:me/other.*cache, and HF_HUB_OFFLINE is set"):
        read_source("hf:me/other")
    assert len(hub.requests) == n_requests


def test_no_connection(hub, native, network):
    hub.add("me/bilm", native)
    read_source("hf:me/bilm")
    hub.close()
    assert_is(read_source("hf:me/bilm"), network)
    with pytest.raises(ValueError, match="me/other.*cache, and http://127.0.0.1:\\d+ can't be r"):
        read_source("hf:me/other")


def test_other_formats(hub, network, native, fixtures, tmp_path):
    write_hdf5(network, tmp_path / "published" / "elmo_weights.hdf5")
    published = files_of(tmp_path / "published")
    assert sorted(published) == ["elmo_weights.hdf5", "options.json"]
    extras = {"old/elmo_weights.hdf5": b"", "vectors.bin": b"", "config.json": b'{"model": "elmo"}'}
    hub.add("me/hdf5", {**published, **extras})
    assert_is(read_source("hf:me/hdf5"), network)
    assert sorted(hub.fetched()) == ["config.json", *sorted(published)]
    folder = fixtures / "many_langs_char_word"
    hub.add("me/many", {k: v for k, v in files_of(folder).items() if not k.endswith("hdf5")})
    assert_is(read_source("hf:me/many"), read_source(folder))


def test_a_checkpoint(hub, fixtures):
    files = files_of(fixtures / "tensorflow_checkpoint")
    names = ("checkpoint", "model", "options", "vocab")
    checkpoint = {name: files[name] for name in files if name.startswith(names)}
    hub.add("me/checkpoint", {**checkpoint, "large.zip": b""})
    assert set(files_of(resolve_source("hf:me/checkpoint"))) == set(checkpoint)


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"README.md": b"soon"},
        {"config.json": b'{"model_type": "bert"}', "model.safetensors": b"huge"},
        {"config.json": b"[", "deep/encoder.pkl": b"", "deep/w.hdf5": b""},
    ],
)
def test_a_repository_without_a_bilm(hub, files):
    hub.add("me/other", files)
    with pytest.raises(ValueError, match="hf:me/other holds no biLM. Looked for config.json.*HDF5"):
        read_source("hf:me/other")
    assert not {"model.safetensors", "deep/encoder.pkl"} & set(hub.fetched())


def test_half_a_repository(hub, native):
    del native["model.safetensors"]
    hub.add("me/bilm", native)
    with pytest.raises(ValueError, match="holds no biLM.* model.safetensors"):
        read_source("hf:me/bilm")


def test_no_such_repository(hub):
    with pytest.raises(ValueError, match="there is no repository http.*/me/bilm, or.*HF_TOKEN"):
        read_source("hf:me/bilm")


def test_private_and_gated(hub, native, network, monkeypatch):
    hub.add("me/private", native, private=True)
    hub.add("me/gated", native, gated=True)
    with pytest.raises(ValueError, match="or it is private. If it is, give a token .*HF_TOKEN"):
        read_source("hf:me/private")
    with pytest.raises(ValueError, match=r"me/gated: .*on request. Ask at .*/me/gated.*HF_TOKEN"):
        read_source("hf:me/gated")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    for name in ("private", "gated"):
        assert_is(read_source(f"hf:me/{name}"), network)


def test_a_hub_that_is_down(hub, native):
    hub.add("me/bilm", native)
    hub.errors["api/models"] = 500
    with pytest.raises(ValueError, match="in the hub's cache, and http://.* answers 500"):
        read_source("hf:me/bilm")
    hub.errors = {"api/models": 403}
    with pytest.raises(ValueError, match="doesn't let us in .status 403.*HF_TOKEN"):
        read_source("hf:me/bilm")


def test_without_huggingface_hub(hub, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ValueError, match=r"pip install 'spacy-elmo\[hub\]'"):
        read_source("hf:me/bilm")


def test_a_pair_holds_files():
    with pytest.raises(ValueError, match="hf:me/bilm is a repository. Give it alone"):
        read_source(("options.json", "hf:me/bilm"))


@pytest.mark.slow
def test_the_environment_says_where_the_hub_is(hub, native, tmp_path):
    """Without anything set in Python."""
    hub.add("me/bilm", native)
    variables = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path), "HF_HUB_DISABLE_XET": "1"}
    code = "from spacy_elmo import BiLM; print(BiLM.load('hf:me/bilm').config.width)"
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
    )
    assert (result.stdout.strip(), result.stderr) == ("10", "")
    assert list(tmp_path.glob("hub/*/snapshots/*/config.json"))
