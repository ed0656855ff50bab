import json
import math

import pytest

from spacy_elmo.pretraining.reports.run_log import RunLog


@pytest.fixture
def log(tmp_path):
    return RunLog(tmp_path / "out" / "log.jsonl")


def test_perplexity_is_the_geometric_mean_and_the_score_its_logarithm(make_report):
    report = make_report(1, perplexity_forward=2.0, perplexity_backward=8.0)
    assert report.perplexity == pytest.approx(4.0)
    assert report.score == pytest.approx(-math.log(4.0))
    assert make_report(1, perplexity_forward=1e200, perplexity_backward=1e200).score < 0


def test_there_is_no_score_without_held_out_text(make_report):
    report = make_report(1, perplexity_forward=math.nan, perplexity_backward=math.nan)
    assert math.isnan(report.perplexity)
    assert math.isnan(report.score)


def test_what_is_appended_is_read(log, make_report):
    reports = [make_report(step) for step in (0, 500, 1000)]
    for report in reports:
        log.append(report)
    assert log.read() == reports
    assert RunLog(log.path).read() == reports


def test_lines_are_flat_json(log, make_report):
    log.append(make_report(500, loss_forward=math.nan, perplexity_backward=math.inf))
    (line,) = log.path.read_text().splitlines()

    def refuse(constant):  # NaN and Infinity, which JSON doesn't have
        raise AssertionError(constant)

    values = json.loads(line, parse_constant=refuse)
    assert values["step"] == 500
    assert values["words"] == 640_000
    assert values["loss_forward"] is None
    assert values["perplexity_backward"] is None
    assert values["perplexity"] is None
    assert set(map(type, values.values())) <= {int, float, type(None)}
    (read,) = log.read()
    assert math.isnan(read.loss_forward)
    assert math.isnan(read.perplexity_backward)


def test_the_log_of_a_killed_process(log, make_report):
    """Cut anywhere, the whole lines are read, and the next line isn't glued to the torn one."""
    reports = [make_report(step) for step in (500, 1000)]
    for report in reports:
        log.append(report)
    data = log.path.read_bytes()
    first = data.index(b"\n") + 1
    for end in [*range(0, len(data), 7), first, len(data) - 1, len(data)]:
        log.path.write_bytes(data[:end])
        whole = reports[: data[:end].count(b"\n")]
        assert log.read() == whole
        log.append(make_report(1500))
        assert log.read() == [*whole, make_report(1500)]


def test_truncate_removes_what_a_resumed_run_makes_again(log, make_report):
    for step in (0, 500, 1000, 1500):
        log.append(make_report(step))
    log.truncate(1200)
    assert [report.step for report in log.read()] == [0, 500, 1000]
    before = log.path.read_bytes()
    log.truncate(1000)
    assert log.path.read_bytes() == before
    log.append(make_report(1500))
    assert [report.step for report in log.read()] == [0, 500, 1000, 1500]
    assert [path.name for path in log.path.parent.iterdir()] == ["log.jsonl"]


def test_a_log_need_not_be_there(log):
    log.truncate(100)
    assert log.read() == []
    assert not log.path.exists()


@pytest.mark.parametrize(
    "line", ["", "step 500", "[]", "{}", '{"step": 500}', "null", '{"step": null', "\\u0000"]
)
def test_another_file_is_refused_by_line(log, make_report, line):
    log.append(make_report(500))
    log.path.write_text(log.path.read_text() + line + "\n")
    with pytest.raises(ValueError, match=r"log\.jsonl:2: not a line of a pretraining log"):
        log.read()


@pytest.mark.parametrize(
    ("value", "other", "problem"),
    [
        ('"learn_rate": 0.002', '"learn_rate": "0.002"', "learn_rate is '0.002'"),
        ('"step": 500', '"step": null', "step is None"),
        ('"step": 500', '"step": 500.5', "step is 500.5"),
        ('"skipped": 0', '"skipped": false', "skipped is False"),
    ],
)
def test_a_wrong_value_is_refused(log, make_report, value, other, problem):
    log.append(make_report(500))
    text = log.path.read_text()
    assert value in text
    log.path.write_text(text.replace(value, other))
    with pytest.raises(ValueError, match=problem):
        log.read()
