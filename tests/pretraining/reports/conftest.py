"""What the tests of the watching of a run share."""

import math

import pytest

from spacy_elmo.pretraining.reports.run_log import Report


@pytest.fixture
def make_report():
    """A factory of reports of a run that learns: 1,280 tokens a step, 40,000 steps."""

    def make(step, **changes):
        words = 1280 * step
        loss = 5 + 4 * math.exp(-step / 1000)
        values = {
            "step": step,
            "epoch": words // 20_000_000,
            "words": words,
            "seconds": words / 5000,
            "loss_forward": loss,
            "loss_backward": loss + 0.1,
            "perplexity_forward": math.exp(loss),
            "perplexity_backward": math.exp(loss + 0.1),
            "tokens_per_second": 5000.0,
            "seconds_left": (1280 * 40_000 - words) / 5000,
            "learn_rate": 0.002,
            "skipped": 0,
        }
        return Report(**{**values, **changes})

    return make
