"""What training starts from: random weights, or a source's, with its softmax or a new one."""

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from helpers import save_tiny_bilm
from tiny_runs import pretrain

from spacy_elmo import BiLM
from spacy_elmo.formats import SoftmaxWeights, read_softmax, read_source, write_native
from spacy_elmo.pretraining.corpus.vocabulary import Vocabulary
from spacy_elmo.pretraining.settings.schemas import InitializeSettings, VocabularySettings
from spacy_elmo.pretraining.start import make_model, make_vocabulary

FIXTURES = Path(__file__).parent.parent / "fixtures"
WORDS = ("</S>", "<S>", "<UNK>", "the", "a", "zebra")
COUNTED = VocabularySettings(path=None, min_count=2, max_size=6)
BILM = {
    "lstm": {
        "dim": 8, "projection_dim": 4, "n_layers": 1, "cell_clip": None, "proj_clip": None,
        "use_skip_connections": True,
    },
    "char_cnn": {
        "activation": "relu", "filters": [[1, 4]], "n_highway": 1, "n_characters": 262,
        "max_characters_per_token": 50, "embedding": {"dim": 3},
    },
}  # fmt: skip


class Counts:
    """As much of a token store as is read here."""

    words = ("a", "the", "river", "once")
    counts = np.array([5, 9, 5, 1])


def initialize(source, keep_softmax=True):
    return InitializeSettings(source=source, keep_softmax=keep_softmax)


@pytest.fixture
def source(tmp_path):
    """A biLM with a softmax whose row i holds i."""
    path = save_tiny_bilm(tmp_path / "source")
    rows = torch.arange(6.0)
    softmax = SoftmaxWeights(WORDS, rows.unsqueeze(1).expand(6, 4), rows)
    write_native(read_source(path), tmp_path / "source", softmax=softmax)
    return path


def test_vocabulary_from_counts():
    """Rare words are left out, and as many as there is no room for."""
    assert make_vocabulary(COUNTED, Counts).words == ("</S>", "<S>", "<UNK>", "the", "a", "river")


def test_vocabulary_from_file(tmp_path):
    (tmp_path / "words.txt").write_text("".join(f"{word}\n" for word in WORDS))
    settings = VocabularySettings(path=str(tmp_path / "words.txt"), min_count=1, max_size=None)
    assert make_vocabulary(settings, Counts).words == WORDS


class ZipfsText:
    """Of 200 words, the one of rank r comes 2000 / r times."""

    words = tuple(f"w{rank}" for rank in range(1, 201))
    counts = np.array([2000 // rank for rank in range(1, 201)])


@pytest.mark.parametrize(
    ("words", "is_warned_of"),
    [
        (ZipfsText.words, False),
        (["unseen", *ZipfsText.words[:100:2], *map(str, range(100))], False),  # another text's
        (["rare"], False),
        (ZipfsText.words[::-1], True),
        ([*ZipfsText.words[100:], *ZipfsText.words[:100]], True),
        (["w1", *sorted(ZipfsText.words[1:], reverse=True)], True),
    ],
)
def test_vocabulary_in_another_order_than_by_frequency(tmp_path, capsys, words, is_warned_of):
    Vocabulary([*WORDS[:3], *words]).write(tmp_path / "words.txt")
    settings = VocabularySettings(path=str(tmp_path / "words.txt"), min_count=1, max_size=None)
    assert make_vocabulary(settings, ZipfsText).words[3:] == tuple(words)
    printed = " ".join(capsys.readouterr().out.split())  # lines are broken
    assert ("isn't sorted by frequency" in printed) == is_warned_of


def test_random_weights_are_the_seeds():
    first, again, other = (
        make_model(BILM, initialize(None), COUNTED, Counts, seed).state_dict() for seed in (1, 1, 2)
    )
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["softmax.weight"], other["softmax.weight"])


def test_wrong_shape():
    with pytest.raises(ValueError, match=r"\[bilm\].*lstm"):
        make_model({"char_cnn": BILM["char_cnn"]}, initialize(None), COUNTED, Counts, 0)


def test_source_with_its_softmax(source):
    model = make_model(BILM, initialize(source), COUNTED, Counts, 0)
    assert model.vocabulary.words == WORDS
    assert model.softmax.bias.tolist() == [0, 1, 2, 3, 4, 5]
    expected = read_source(source).state_dict()
    network = model.network.state_dict()
    assert all(torch.equal(network[name], expected[name]) for name in expected)


def test_source_with_a_new_vocabulary(source):
    """Words that the source's softmax knows start from its rows."""
    model = make_model(BILM, initialize(source, keep_softmax=False), COUNTED, Counts, 0)
    assert model.vocabulary.words == ("</S>", "<S>", "<UNK>", "the", "a", "river")
    assert model.softmax.bias.tolist() == [0, 1, 2, 3, 4, 0]
    assert model.softmax.weight[:5, 0].tolist() == [0, 1, 2, 3, 4]
    assert model.softmax.weight[5].abs().max() < 3  # random


@pytest.fixture
def checkpoint(fixtures, tmp_path):
    """A checkpoint of bilm-tf without its vocabulary."""
    pytest.importorskip("tensorflow", exc_type=ImportError)
    folder = tmp_path / "checkpoint"
    ignored = shutil.ignore_patterns("*.hdf5", "vocab.txt")
    shutil.copytree(fixtures / "tensorflow_checkpoint", folder, ignore=ignored)
    return str(folder)


def test_checkpoint_without_its_vocabulary(checkpoint):
    with pytest.raises(ValueError, match=r"vocabulary\.path.*initialize\.keep_softmax = false"):
        make_model(BILM, initialize(checkpoint), COUNTED, Counts, 0)
    model = make_model(BILM, initialize(checkpoint, keep_softmax=False), COUNTED, Counts, 0)
    assert model.vocabulary.words == ("</S>", "<S>", "<UNK>", "the", "a", "river")


def test_checkpoint_with_its_vocabulary(checkpoint, fixtures, tmp_path):
    """It is the setting's, unless there is one beside the checkpoint."""
    path = fixtures / "tensorflow_checkpoint" / "vocab.txt"
    settings = VocabularySettings(path=str(path), min_count=1, max_size=None)
    model = make_model(BILM, initialize(checkpoint), settings, Counts, 0)
    expected = read_softmax(checkpoint, path)
    assert model.vocabulary.words == expected.words
    assert torch.equal(model.softmax.weight, expected.weight)
    shutil.copy(path, checkpoint)
    (tmp_path / "others.txt").write_text("".join(f"{word}\n" for word in WORDS))
    settings = VocabularySettings(path=str(tmp_path / "others.txt"), min_count=1, max_size=None)
    again = make_model(BILM, initialize(checkpoint), settings, Counts, 0)
    assert torch.equal(again.softmax.weight, expected.weight)


SOURCES = {
    "bundled": "en_small",
    "HDF5": [str(FIXTURES / "plain" / name) for name in ("options.json", "weights.hdf5")],
    "clipped": [str(FIXTURES / "clipped" / name) for name in ("options.json", "weights.hdf5")],
    "characters of a lexicon": str(FIXTURES / "many_langs_char"),
    "characters and words of a lexicon": str(FIXTURES / "many_langs_char_word"),
}


@pytest.mark.parametrize("name", SOURCES)
def test_training_goes_on_from(tmp_path, name):
    """What comes out has learned, keeps the source's shape and reads the same characters, so that
    it loads wherever the source did."""
    given = SOURCES[name]
    run = pretrain(
        tmp_path / "run",
        initialize__source=given,
        training__max_steps=4,
        training__optimizer__learn_rate=0.01,
    )
    before, after = read_source(given), BiLM.load(tmp_path / "run/model-last")
    assert after.config == before.config
    sentences = [["He", "sat", "by", "the", "river", "."], ["Zürich"]]
    old, new = BiLM(before).embed(sentences), after.embed(sentences)
    assert not np.allclose(old[0], new[0])
    assert old[0].shape == new[0].shape
    (report,) = run.log.read()
    assert np.isfinite([report.loss_forward, report.perplexity]).all()
    if "lexicon" in name:
        return
    after.save(tmp_path / "weights.hdf5", format="hdf5")
    with h5py.File(tmp_path / "weights.hdf5") as file:
        assert file["char_embed"].shape == (261, before.config.char_cnn.embedding.dim)
    softmax = read_softmax(tmp_path / "run/model-last")
    assert softmax is not None and "river" in softmax.words


def test_going_on_lowers_the_perplexity(tmp_path):
    """A run that starts from another's biLM starts where that one ended."""
    rate = {"training__optimizer__learn_rate": 0.01, "training__max_steps": 40}
    first = pretrain(tmp_path / "first", **rate)
    second = pretrain(
        tmp_path / "second", initialize__source=str(tmp_path / "first/model-last"), **rate
    )
    before, start = first.log.read(), second.log.read()[0]
    assert start.perplexity < before[0].perplexity
    assert (
        "| Started from | `model-last` |" in (tmp_path / "second/model-last/README.md").read_text()
    )
