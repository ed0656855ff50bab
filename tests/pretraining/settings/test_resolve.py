"""Configs of pretraining: what is wrong with them is named."""

import pytest
from spacy.util import load_config
from thinc.api import Config
from tiny_runs import CONFIG, overrides_of

from spacy_elmo.pretraining.settings.resolve import resolve


@pytest.fixture
def config(tmp_path):
    return load_config(CONFIG, overrides=overrides_of(tmp_path))


def test_shipped_config_is_complete(tmp_path):
    overrides = {"paths.train": str(tmp_path / "text.txt")}
    settings = resolve(load_config(CONFIG, overrides=overrides))
    assert settings.readers.dev is None
    assert settings.readers.train.sources == [str(tmp_path / "text.txt")]
    assert settings.nlp.lang == "en"
    assert settings.bilm["lstm"]["dim"] == 512


@pytest.mark.parametrize("name", ["nlp", "corpus", "training", "card", "initialize"])
def test_missing_section(config, name):
    del config[name]
    with pytest.raises(ValueError, match=rf"\[{name}\] is missing"):
        resolve(Config(config))


def test_unknown_section(config):
    config["components"] = {}
    with pytest.raises(ValueError, match=r"\[components\] is unknown"):
        resolve(config)


@pytest.mark.parametrize(
    "name",
    [
        "nlp.lang", "corpus.train", "corpus.dev", "corpus.get_spans", "corpus.tokens",
        "vocabulary.min_count", "initialize.source", "training.seed", "training.optimizer",
        "card.licence",
    ],
)  # fmt: skip
def test_missing_setting(config, name):
    section, key = name.split(".")
    del config[section][key]
    with pytest.raises(ValueError, match=name):
        resolve(config)


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        ("training", "dropout", 1.0), ("training", "max_grad_norm", 0),
        ("training", "checkpoint_minutes", 0), ("training", "n_checkpoints", 0),
        ("training", "max_epochs", 0), ("training", "batch_size", "many"),
        ("training", "seed", -1), ("training", "seed", 2**64),
        ("vocabulary", "max_size", 0), ("corpus", "train", None),
        ("initialize", "keep_softmax", "perhaps"),
    ],
)  # fmt: skip
def test_wrong_setting(config, section, name, value):
    config[section][name] = value
    with pytest.raises(ValueError, match=rf"{section}\.{name}"):
        resolve(config)


def test_unknown_setting(config):
    config["training"]["max_step"] = 5
    with pytest.raises(ValueError, match=r"training\.max_step: there is no such setting"):
        resolve(config)


@pytest.mark.parametrize(
    "name", ["bilm.dropout", "bilm.lstm.dropuot", "bilm.char_cnn.embedding.dims"]
)
def test_unknown_setting_of_the_shape(config, name):
    """Misspelt, or in the wrong block."""
    *blocks, key = name.split(".")
    block = config
    for each in blocks:
        block = block[each]
    block[key] = 1
    with pytest.raises(ValueError, match=rf"unknown settings: {name}$"):
        resolve(config)
    config["initialize"]["source"] = "en_small"  # then [bilm] isn't read
    resolve(config)


def test_missing_setting_of_the_shape(config):
    del config["bilm"]["lstm"]["dim"]
    with pytest.raises(ValueError, match=r"\[bilm\].*lstm\.dim"):
        resolve(config)


def test_all_settings_of_a_shape_are_known(config):
    """Also those of blocks that may be missing."""
    config["bilm"]["scalar_mix"] = {"weights": [0.0, 1.0, 0.0], "gamma": 1.0}
    assert resolve(config).bilm["scalar_mix"]["gamma"] == 1.0
    config["bilm"]["scalar_mix"]["gama"] = 1.0
    with pytest.raises(ValueError, match=r"unknown settings: bilm\.scalar_mix\.gama$"):
        resolve(config)


@pytest.mark.parametrize(
    ("optimizer", "words", "rate"),
    [
        (
            {"@optimizers": "spacy-elmo.Adam.v1", "learn_rate": 0.002, "beta1": 0.5},
            "Adam (beta1 0.5)",
            "0.002",
        ),
        ({"@optimizers": "spacy-elmo.Adagrad.v1"}, "Adagrad", "the optimizer's default"),
    ],
)
def test_words_of_the_card(config, optimizer, words, rate):
    config["training"]["optimizer"] = optimizer
    told = resolve(config).for_card(step=7, world_size=2)
    assert (told["Optimizer"], told["Learning rate"]) == (words, rate)
    assert told["Streams"] == 8
    assert told["Steps"] == "7 of 24"


def test_schedule_ends_with_training(config):
    """Whatever the number of steps."""
    assert config.interpolate()["training"]["optimizer"]["learn_rate"]["total_steps"] == 24
