import copy
import json

import pytest
from pydantic import ValidationError

from spacy_elmo.bilm import BiLMConfig, ScalarMixConfig

# The options of the model that Peters et al. (2018) published.
ORIGINAL = {
    "lstm": {
        "use_skip_connections": True,
        "projection_dim": 512,
        "cell_clip": 3,
        "proj_clip": 3,
        "dim": 4096,
        "n_layers": 2,
    },
    "char_cnn": {
        "activation": "relu",
        "filters": [[1, 32], [2, 32], [3, 64], [4, 128], [5, 256], [6, 512], [7, 1024]],
        "n_highway": 2,
        "embedding": {"dim": 16},
        "n_characters": 262,
        "max_characters_per_token": 50,
    },
}


def parse(section=None, field=None, value=None):
    options = copy.deepcopy(ORIGINAL)
    if section is not None:
        options[section][field] = value
    return BiLMConfig.model_validate_json(json.dumps(options))


def test_sizes_of_the_original():
    config = parse()
    assert config.n_layers == 3
    assert config.width == 1024
    assert config.char_cnn.n_filters == 2048
    assert config.char_cnn.widest_filter == 7


def test_dumps_to_the_options_it_was_read_from():
    assert json.loads(parse().model_dump_json()) == {**ORIGINAL, "scalar_mix": None}


MIX = {"weights": [0.1, -2.5, 3.0], "gamma": 0.7}


def with_mix(**changes):
    return json.dumps({**ORIGINAL, "scalar_mix": {**MIX, **changes}})


def test_a_mix_starts_as_the_mean_of_the_layers():
    assert parse().scalar_mix is None
    assert parse().mix_start == ScalarMixConfig(weights=(0.0, 0.0, 0.0), gamma=1.0)


def test_a_mix_that_came_with_the_weights():
    config = BiLMConfig.model_validate_json(with_mix())
    assert config.mix_start == ScalarMixConfig(weights=(0.1, -2.5, 3.0), gamma=0.7)
    assert json.loads(config.model_dump_json())["scalar_mix"] == MIX


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"weights": [0.1, 0.2]}, "2 weights doesn't fit 3 layers"),
        ({"weights": [0.1, 0.2, None]}, r"scalar_mix\.weights\.2"),
        ({"weights": [0.1, 0.2, float("inf")]}, r"scalar_mix\.weights\.2"),
        ({"gamma": float("nan")}, r"scalar_mix\.gamma"),
        ({"gamma": "1"}, r"scalar_mix\.gamma"),
    ],
)
def test_a_wrong_mix_is_refused(changes, match):
    with pytest.raises(ValidationError, match=match):
        BiLMConfig.model_validate_json(with_mix(**changes))


def test_the_widest_filter_need_not_be_the_last():
    assert parse("char_cnn", "filters", [[5, 1], [2, 9]]).char_cnn.widest_filter == 5


@pytest.mark.parametrize("field", ["cell_clip", "proj_clip"])
def test_clips_may_be_null(field):
    assert getattr(parse("lstm", field, None).lstm, field) is None


@pytest.mark.parametrize("n_characters", [261, 262])
def test_both_published_numbers_of_characters(n_characters):
    assert parse("char_cnn", "n_characters", n_characters).char_cnn.n_characters == n_characters


def test_training_settings_are_ignored():
    options = {**ORIGINAL, "bidirectional": True, "n_train_tokens": 768648884, "dropout": 0.1}
    assert BiLMConfig.model_validate_json(json.dumps(options)) == parse()


def test_is_immutable():
    config = parse()
    with pytest.raises(ValidationError, match="frozen"):
        config.lstm.dim = 3


def test_a_filter_as_wide_as_a_word_fits():
    assert parse("char_cnn", "filters", [[50, 2]]).char_cnn.widest_filter == 50


def test_a_filter_wider_than_a_word_does_not_fit():
    with pytest.raises(ValidationError, match=r"width 51 .* 50 characters"):
        parse("char_cnn", "filters", [[1, 2], [51, 2]])


@pytest.mark.parametrize(
    ("section", "field", "value"),
    [
        ("lstm", "dim", 0),
        ("lstm", "dim", "4096"),
        ("lstm", "dim", True),
        ("lstm", "projection_dim", -512),
        ("lstm", "projection_dim", None),
        ("lstm", "n_layers", 0),
        ("lstm", "n_layers", 1.5),
        ("lstm", "cell_clip", 0),
        ("lstm", "cell_clip", "3"),
        ("lstm", "cell_clip", float("nan")),
        ("lstm", "proj_clip", -3),
        ("lstm", "use_skip_connections", 1),
        ("lstm", "use_skip_connections", "true"),
        ("char_cnn", "activation", "gelu"),
        ("char_cnn", "filters", []),
        ("char_cnn", "filters", [[1, 32], [2]]),
        ("char_cnn", "filters", [[1, 32, 3]]),
        ("char_cnn", "filters", [[0, 32]]),
        ("char_cnn", "filters", [[1, 0]]),
        ("char_cnn", "n_highway", -1),
        ("char_cnn", "embedding", 16),
        ("char_cnn", "embedding", {"dim": 0}),
        ("char_cnn", "n_characters", 260),
        ("char_cnn", "n_characters", 263),
        ("char_cnn", "max_characters_per_token", 2),
    ],
)
def test_a_wrong_value_is_refused(section, field, value):
    with pytest.raises(ValidationError, match=rf"{section}\.(bytes\.)?{field}"):
        parse(section, field, value)


def lexicon_options(**char_cnn):
    """Options of a biLM with a lexicon of seven characters and one of two words."""
    special = ["<bos>", "<eos>", "<eow>", "<bow>", "<oov>", "<pad>"]
    return {
        "lstm": ORIGINAL["lstm"],
        "char_cnn": {
            "activation": "relu",
            "filters": [[1, 32], [7, 64]],
            "n_highway": 2,
            "max_characters_per_token": 50,
            "characters": {"dim": 50, "entries": [*special, "银"]},
            "words": {"dim": 100, "entries": ["<oov>", "bank"]},
            **char_cnn,
        },
    }


def test_a_lexicon_is_part_of_the_options():
    options = lexicon_options()
    config = BiLMConfig.model_validate_json(json.dumps(options))
    assert config.char_cnn.characters.entries[6] == "银"
    assert config.char_cnn.words.dim == 100
    assert config.char_cnn.n_filters == 96
    expected = {**options, "scalar_mix": None}
    assert json.loads(config.model_dump_json()) == expected
    assert config.model_dump(mode="json") == expected


def test_a_lexicon_of_words_may_be_null():
    options = lexicon_options(words=None)
    assert BiLMConfig.model_validate_json(json.dumps(options)).char_cnn.words is None


def test_each_kind_has_its_boundaries():
    assert parse().char_cnn.boundaries == ("<S>", "</S>")
    config = BiLMConfig.model_validate_json(json.dumps(lexicon_options()))
    assert config.char_cnn.boundaries == ("<bos>", "<eos>")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"characters": {"dim": 50}}, "characters.entries\n.*Field required"),
        ({"characters": {"dim": 50, "entries": ["<oov>"]}}, "no entry <pad> or <bos> or <eos> or"),
        ({"words": {"dim": 9, "entries": ["bank"]}}, "words.entries\n.*no entry <oov>"),
        ({"words": {"dim": 9, "entries": ["<oov>", "a", "a"]}}, "words.entries\n.*stands.*twice"),
        ({"words": {"dim": 0, "entries": ["<oov>"]}}, "words.dim\n.*greater than 0"),
        ({"max_characters_per_token": 6}, "max_characters_per_token\n.*greater than or equal to 7"),
        ({"filters": [[51, 2]]}, "width 51 .* 50 characters"),
    ],
)
def test_a_wrong_lexicon_is_refused(value, message):
    with pytest.raises(ValidationError, match=message):
        BiLMConfig.model_validate_json(json.dumps(lexicon_options(**value)))
