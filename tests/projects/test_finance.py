"""projects/finance: statements and their years, and the tone of a year."""

import json

import pytest
from project_scripts import scripts_of

with scripts_of("finance"):
    import tone
    from statements import Statement, read_statements, spread


def write(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_dates_stand_above_years_in_texts(tmp_path):
    path = write(
        tmp_path / "s.jsonl",
        {"text": "From 1990 to 2003, no 19995.", "date": "2001-06-15"},
        {"text": "Between 1990 and 2003 more than 2.050 in 1800."},
        {"text": "No year."},
    )
    texts = [row.text for row in read_statements(path, from_text=True)]
    assert [row.year for row in read_statements(path, from_text=True)] == [2001, 2003]
    assert "No year." not in texts
    assert [row.year for row in read_statements(path, from_text=False)] == [2001]


@pytest.mark.parametrize(
    ("row", "error"),
    [({"date": "2001"}, "line 1: no object"), ({"text": "x", "date": "May"}, "line 1: no object")],
)
def test_lines_that_are_wrong(row, error, tmp_path):
    with pytest.raises(ValueError, match=error):
        list(read_statements(write(tmp_path / "s.jsonl", row), from_text=False))
    path = write(tmp_path / "t.jsonl", {"text": "In 2001."})
    with pytest.raises(ValueError, match="--from-text"):
        list(read_statements(path, from_text=False))


def test_a_year_is_drawn_from_evenly():
    rows = [Statement(2002, str(i)) for i in range(10)] + [Statement(2001, "x")]
    assert spread(iter(rows), 4) == {2001: ["x"], 2002: ["0", "3", "6", "9"]}
    assert len(spread(iter(rows), 0)[2002]) == 10


class Judge:
    """Finds "up" stronger and "down" weaker."""

    def pipe(self, texts):
        for text in texts:
            cats = {"stronger": float("up" in text), "weaker": float("down" in text)}
            yield type("Doc", (), {"cats": cats})


def test_the_tone_is_the_mean_of_sentences():
    found = tone.measure(Judge(), ["Sales went up here. They went down there.", "All went up now."])
    assert found.n_sentences == 3
    assert found.mean == pytest.approx(1 / 3)
    assert found.error == pytest.approx((8 / 9) ** 0.5 / 3**0.5)
    assert tone.measure(Judge(), []) == (0, 0, 0)
