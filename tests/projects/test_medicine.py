"""Scores before and after a biLM has read more: projects/medicine."""

import pytest
from project_scripts import scripts_of

from spacy_elmo.pretraining.reports import Report, RunLog
from spacy_elmo.projects.runs import Run

with scripts_of("medicine"):
    from before_and_after import draw, name_runs, read_perplexities


def test_systems_are_told_apart_by_what_the_bilm_has_read(tmp_path):
    Run("both", 9, 1, 0, {"ents_f": 0.5}).write(tmp_path)
    Run("stock", 9, 1, 0, {"ents_f": 0.4}).write(tmp_path)
    names = [run.system for run in name_runs(tmp_path, "ents_f", "{}, later")]
    assert names == ["spaCy's tok2vec, later", "ELMo beside spaCy's features, later"]


def test_a_perplexity_is_the_mean_of_both_directions(tmp_path):
    with pytest.raises(ValueError, match="there are no perplexities in it"):
        read_perplexities(tmp_path / "log.jsonl")
    for step, (forward, backward) in enumerate([(8.0, 2.0), (3.0, 3.0)], start=1):
        report = Report(step, 0, 100 * step, 1.0, 1.0, 1.0, forward, backward, 1.0, 1.0, 0.1, 0)
        RunLog(tmp_path / "log.jsonl").append(report)
    assert read_perplexities(tmp_path / "log.jsonl") == [
        (100, pytest.approx(4)),
        (200, pytest.approx(3)),
    ]


def test_a_picture_has_a_bar_for_each_system(tmp_path):
    pytest.importorskip("matplotlib")
    runs = [Run(name, 9, 1, seed, {"ents_f": 0.5}) for name in ("A", "B") for seed in (0, 1)]
    files = draw(runs, [(100, 40.0), (200, 30.0)], tmp_path / "scores", "A title")
    text = files[1].read_text(encoding="utf-8")
    assert all(f">{part}<" in text for part in ("A", "B", "50.0", "seed 1", "A title"))
