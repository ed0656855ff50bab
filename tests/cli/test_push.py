"""Pushing to a hub on this machine, and loading from there again."""

import sys

import numpy as np
import pytest
import torch
from hub_server import TOKEN

from spacy_elmo import BiLM
from spacy_elmo.cli._hub_card import names_licence
from spacy_elmo.formats import SoftmaxWeights, read_softmax, write_hdf5, write_native

SENTENCES = [["He", "sat", "."], ["Hello"]]


@pytest.fixture
def network(make_network):
    return make_network()


@pytest.fixture
def softmax(network):
    words = ("<S>", "</S>", "<UNK>", "the")
    width = network.config.lstm.projection_dim
    return SoftmaxWeights(words, torch.randn(len(words), width), torch.randn(len(words)))


@pytest.fixture
def bilm(network, softmax, tmp_path):
    """A native directory in half precision, with its softmax and a card as pretraining writes."""
    write_native(network, tmp_path / "bilm", dtype="float16", softmax=softmax)
    card = "# bilm\n\nA biLM for `de`, pretrained with spacy-elmo.\n\n| | |\n|---|---|\n"
    (tmp_path / "bilm" / "README.md").write_text(card + "| Licence | CC BY 4.0 |\n")
    (tmp_path / "bilm" / "secrets.txt").write_text("not pushed")
    return tmp_path / "bilm"


@pytest.fixture
def token(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)


def pushed(hub, name="me/bilm", revision="main"):
    return hub.repositories[name].files(revision)[1]


def header(hub, name="me/bilm"):
    from huggingface_hub import ModelCard

    return ModelCard(pushed(hub, name)["README.md"].decode()).data.to_dict()


def test_push_and_load_again(run, hub, token, bilm, softmax):
    code, output = run("push", bilm, "me/bilm", "--message", "The first")
    assert code == 0, output
    assert "hf:me/bilm" in output and "/commit/" in output
    names = {"config.json", "model.safetensors", "softmax.safetensors", "vocabulary.txt"}
    files = pushed(hub)
    assert set(files) == {*names, "README.md"}
    assert all(files[name] == (bilm / name).read_bytes() for name in names)  # half precision stays
    assert hub.repositories["me/bilm"].messages[-1] == "The first"
    assert not hub.repositories["me/bilm"].private
    loaded = BiLM.load("hf:me/bilm")
    for ours, theirs in zip(loaded.embed(SENTENCES), BiLM.load(bilm).embed(SENTENCES), strict=True):
        assert np.array_equal(ours, theirs)
    assert loaded.softmax.words == softmax.words


def test_the_card_of_the_bilm(run, hub, token, bilm):
    run("push", bilm, "me/bilm")
    text = pushed(hub)["README.md"].decode()
    assert text.startswith("---\n") and text.endswith((bilm / "README.md").read_text())
    data = header(hub)
    assert data["library_name"] == "spacy-elmo"
    assert data["language"] == "de"
    assert data["license"] == "cc-by-4.0"
    assert "elmo" in data["tags"]
    run("push", bilm, "me/bilm", "--licence", "Only for cats", "--lang", "nl")
    data = header(hub)
    assert (data["license"], data["license_name"]) == ("other", "Only for cats")
    assert data["language"] == "nl"


def test_a_card_that_has_a_header(run, hub, token, bilm):
    own = "---\nlanguage: is\nlicense: mit\ntags:\n- ours\ndatasets:\n- me/texts\n---\n\n# Ours\n"
    (bilm / "README.md").write_text(own)
    run("push", bilm, "me/bilm")
    data = header(hub)
    assert (data["language"], data["license"]) == ("is", "mit")
    assert data["datasets"] == ["me/texts"]
    assert data["tags"][0] == "ours" and "elmo" in data["tags"]
    own = "---\nlanguage: is\n---\n\nUnder no license: ask.\n\n| Licence | Apache 2.0 |\n"
    (bilm / "README.md").write_text(own)
    run("push", bilm, "me/bilm")
    assert header(hub)["license"] == "apache-2.0"
    (bilm / "README.md").write_text("---\n- a list\n---\n")
    code, output = run("push", bilm, "me/other")
    assert code == 1
    assert "header of the biLM's README.md" in output
    assert "me/other" not in hub.repositories


def test_another_format_gets_a_short_card(run, hub, token, network, tmp_path):
    write_hdf5(network, tmp_path / "published" / "weights.hdf5")
    code, output = run("push", tmp_path / "published", "me/bilm")
    assert code == 0, output
    assert "says nothing of a licence" in output
    assert set(pushed(hub)) == {"config.json", "model.safetensors", "README.md"}
    card = pushed(hub)["README.md"].decode()
    assert "# bilm" in card and 'source": "hf:me/bilm"' in card and "Layers | 3 of width 10" in card
    assert str(tmp_path) not in card
    assert "license" not in header(hub) and "language" not in header(hub)
    assert BiLM.load("hf:me/bilm").config == network.config
    code, output = run("push", "hf:me/bilm", "you/copy", "--licence", "MIT", "--lang", "en")
    assert code == 0 and "says nothing of a licence" not in output
    assert header(hub, "you/copy")["license"] == "mit"


def test_info_of_what_was_pushed(run, hub, token, bilm):
    run("push", bilm, "me/bilm")
    code, output = run("info", "hf:me/bilm")
    assert code == 0
    assert "Layers 3 of width 10" in output and "Licence cc-by-4.0" in output
    assert "Softmax none here; if the source has one, it is fetched when it is needed" in output
    assert read_softmax("hf:me/bilm") is not None
    assert "Softmax over 4 words" in run("download", "hf:me/bilm")[1]


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        ("---\nlicense: mit\n---\n", True),
        ("---\nlanguage: en\r\nlicense: mit\r\n---", True),
        ("---\nlanguage: en\n---\n\nlicense: mit\n\n---\n", False),
        ("---\n---\nlicense: mit\n---\n", False),
        ("license: mit\n", False),
    ],
)
def test_names_licence(card, expected):
    assert names_licence(card) == expected


def test_a_bundled_one(run, hub, token):
    code, output = run("push", "en_small", "me/small", "--lang", "en")
    assert code == 0, output
    assert header(hub, "me/small")["license_name"].startswith("MIT for the weights")
    assert b"# en_small" in pushed(hub, "me/small")["README.md"]


def test_a_branch(run, hub, token, bilm, make_network, tmp_path):
    run("push", bilm, "me/bilm")
    before = pushed(hub)
    newer = make_network(seed=1)
    write_native(newer, tmp_path / "newer")
    code, output = run("push", tmp_path / "newer", "me/bilm", "--revision", "v2")
    assert code == 0
    assert "hf:me/bilm@v2" in output
    assert pushed(hub) == before
    # The older softmax isn't this biLM's.
    assert not {"softmax.safetensors", "vocabulary.txt"} & set(pushed(hub, revision="v2"))
    assert read_softmax("hf:me/bilm@v2") is None
    assert read_softmax("hf:me/bilm") is not None


def test_private(run, hub, token, bilm):
    run("push", bilm, "me/private", "--private")
    assert hub.repositories["me/private"].private
    hub.add("me/public", {})
    code, output = run("push", bilm, "me/public", "--private")
    assert code == 1
    assert "is there already, and it is public" in output
    assert pushed(hub, "me/public") == {}


def test_nothing_is_sent_of_what_cannot_be_read(run, hub, token, bilm):
    weights = bytearray((bilm / "model.safetensors").read_bytes())
    weights[-1] ^= 255
    (bilm / "model.safetensors").write_bytes(weights)
    code, output = run("push", bilm, "me/bilm")
    assert code == 1
    assert "model.safetensors" in output
    assert hub.requests == []


def test_without_a_token(run, hub, bilm):
    code, output = run("push", bilm, "me/bilm")
    assert code == 1
    assert "Can't push to hf:me/bilm" in output and "HF_TOKEN" in output
    assert hub.repositories == {}


@pytest.mark.parametrize("repository", ["bilm", "me/a/b", "https://host/me/bilm", "me/bilm@v2"])
def test_a_bad_name(run, hub, token, bilm, repository):
    code, output = run("push", bilm, repository)
    assert code == 1
    assert ("--revision" if "@" in repository else "hf:OWNER/NAME") in output
    assert hub.requests == []


def test_without_huggingface_hub(run, bilm, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    code, output = run("push", bilm, "me/bilm")
    assert code == 1
    assert "spacy-elmo[hub]" in output
