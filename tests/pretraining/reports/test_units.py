import math

import pytest

from spacy_elmo.pretraining.reports.units import (
    format_count,
    format_decimal,
    format_duration,
    format_size,
)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (7, "7"),
        (999, "999"),
        (999.7, "1K"),
        (1234, "1.23K"),
        (12_345, "12.3K"),
        (999_600, "1M"),
        (40_000_000, "40M"),
        (5.5e9, "5.5B"),
        (3e12, "3T"),
        (math.nan, "-"),
    ],
)
def test_format_count(count, text):
    assert format_count(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0:00:00"),
        (59.6, "0:01:00"),
        (9067, "2:31:07"),
        (360_000, "100:00:00"),
        (math.nan, "-"),
        (math.inf, "-"),
    ],
)
def test_format_duration(seconds, text):
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (5.0, "5.000"),
        (337.04, "337.0"),
        (999.96, "1,000"),
        (72_822.4, "72,822"),
        (math.nan, "-"),
        (math.inf, "inf"),
    ],
)
def test_format_decimal(number, text):
    assert format_decimal(number) == text


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 KB"), (6_049_000, "6.0 MB"), (2e12, "2.0 TB")],
)
def test_format_size(n_bytes, text):
    assert format_size(n_bytes) == text
