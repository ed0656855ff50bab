"""What a run says before its first step."""

import pytest
from small_corpora import make_store, make_vocabulary

from spacy_elmo.pretraining.reports.preview import preview

CONSTANT = {"training": {"optimizer": {"learn_rate": 0.1}}}
WARM = {"training": {"optimizer": {"learn_rate": {"@schedules": "x", "warmup_steps": 100}}}}


@pytest.fixture
def say(capsys):
    """Prints about a corpus of which "b" and "c" are rare, and gives what was printed."""
    store = make_store([["a", "a", "b"], ["a", "a", "a", "c"], ["a"]])
    vocabulary = make_vocabulary(store, min_count=2)

    def say(config, dev_store=store, n_steps=100):
        preview(config, store, dev_store, vocabulary, n_steps)
        return " ".join(capsys.readouterr().out.split())

    return say


def test_the_text_is_told(say):
    output = say(CONSTANT)
    assert "3 sentences, 8 tokens; a vocabulary of 4 words, 25.0% of the tokens" in output
    assert "paths.dev" not in output and "warmup_steps" not in output


def test_without_held_out_text(say):
    assert "no held-out text (paths.dev)" in say(CONSTANT, dev_store=None)


def test_training_that_ends_while_the_rate_rises(say):
    assert "Training ends after about 100 steps" in say(WARM)
    assert "warmup_steps" not in say(WARM, n_steps=101)
