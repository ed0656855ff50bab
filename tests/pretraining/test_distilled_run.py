"""Runs with a teacher beside the next word."""

import json

import numpy as np
import pytest
from small_teachers import SmallTeacher, make_small_teacher
from spacy.util import registry
from tiny_runs import make_run, pretrain, results

from spacy_elmo.pretraining import results as results_module

TEACHER = {"@misc": "tests.SmallTeacher.v1", "name": "small"}
BLOCK = {"teacher": TEACHER, "weight": 2.0, "max_words": 600, "share": 0.5, "targets": None}
TAUGHT = {"training__distillation": BLOCK, "training__checkpoint_minutes": 1e-9}


registry.misc.register("tests.SmallTeacher.v1", func=make_small_teacher)


@pytest.fixture(autouse=True)
def quick_curves(monkeypatch):
    monkeypatch.setattr(results_module, "plot_curves", lambda reports, path, title: path.touch())


def with_changes(**changes):
    return {**TAUGHT, "training__distillation": {**BLOCK, **changes}}


def read_again(self, sentences, *, mixed_precision):
    raise AssertionError("The teacher reads again.")


def log_of(output):
    return [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]


def test_the_distance_falls_and_the_card_tells_of_the_teacher(tmp_path):
    rate = {"training__optimizer__learn_rate__initial_rate": 0.05}
    pretrain(tmp_path / "run", **TAUGHT, **rate, training__max_steps=60)
    distances = [line["loss_distillation"] for line in log_of(tmp_path / "run")]
    assert all(map(np.isfinite, distances))
    assert distances[-1] < 0.9 * distances[0]
    card = (tmp_path / "run" / "model-last" / "README.md").read_text()
    assert "| Teacher | `small` (licence: CC0): its layers 1 of 5" in card
    assert "| Weight of the teacher | 2.0 |" in card
    names = {path.name for path in (tmp_path / "run" / "model-last").iterdir()}
    assert "distillation.safetensors" not in names  # the map isn't a part of the biLM


def test_without_a_teacher_nothing_is_told_of_one(tmp_path):
    pretrain(tmp_path / "run", training__max_steps=4)
    assert log_of(tmp_path / "run")[0]["loss_distillation"] is None
    assert "Teacher" not in (tmp_path / "run" / "model-last" / "README.md").read_text()


@pytest.mark.parametrize("step", [3, 9])
def test_resuming_changes_nothing(tmp_path, step):
    pretrain(tmp_path / "unbroken", **TAUGHT, training__max_steps=12)
    run = make_run(tmp_path / "broken", **TAUGHT, training__max_steps=12)
    run.start(resume=False)
    for _ in range(step):
        run.trainer.step()
    run._save_checkpoint()
    pretrain(tmp_path / "broken", resume=True, **TAUGHT, training__max_steps=12)
    (_, broken), (_, unbroken) = results(tmp_path / "broken"), results(tmp_path / "unbroken")
    last = "model-last/model.safetensors"
    assert broken[last] == unbroken[last]


def test_targets_are_computed_once(tmp_path, monkeypatch):
    changes = with_changes(targets=str(tmp_path / "shared"))
    pretrain(tmp_path / "one", **changes, training__max_steps=2)
    monkeypatch.setattr(SmallTeacher, "__call__", read_again)
    pretrain(tmp_path / "two", **changes, training__max_steps=2)
    assert (tmp_path / "shared" / "targets.i8").exists()
    assert not (tmp_path / "two" / "targets").exists()


def test_targets_of_another_teacher_are_refused(tmp_path):
    changes = with_changes(targets=str(tmp_path / "shared"))
    pretrain(tmp_path / "one", **changes, training__max_steps=2)
    other = with_changes(targets=str(tmp_path / "shared"), teacher={**TEACHER, "name": "other"})
    with pytest.raises(ValueError, match="holds targets of small, .* but this run has other"):
        make_run(tmp_path / "two", **other).start(resume=False)


def test_a_run_is_not_resumed_with_another_number_of_words(tmp_path, monkeypatch):
    """Said before the teacher reads them."""
    pretrain(tmp_path / "run", **TAUGHT, training__max_steps=2)
    monkeypatch.setattr(SmallTeacher, "__call__", read_again)
    run = make_run(tmp_path / "run", **with_changes(max_words=900))
    with pytest.raises(
        ValueError, match="with 600 for training.distillation.max_words, but this run has 900"
    ):
        run.start(resume=True)


def test_a_teacher_does_not_come_in_the_middle(tmp_path):
    pretrain(tmp_path / "run", training__max_steps=2)
    run = make_run(tmp_path / "run", **TAUGHT)
    with pytest.raises(ValueError, match="with 0 for training.distillation.max_words"):
        run.start(resume=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weight": -1}, "distillation.weight"),
        ({"max_words": 0}, "distillation.max_words"),
        ({"share": 1.5}, "distillation.share"),
        ({"share": 0}, "distillation.share"),
        ({"teacher": "small"}, "distillation.teacher"),
        ({"words": 3}, "distillation.words: there is no such setting"),
    ],
)
def test_wrong_settings(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        make_run(tmp_path / "run", **with_changes(**changes))


def test_a_teacher_needs_sentences_that_begin_from_zeros(tmp_path):
    with pytest.raises(ValueError, match=r"training: carry_state has to be false with a teacher"):
        make_run(tmp_path / "run", **TAUGHT, training__carry_state=True)
