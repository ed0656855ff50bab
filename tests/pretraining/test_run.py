"""A run as a whole: it goes on as if it had not ended, whatever ended it, and what it leaves."""

import errno
import json
import signal

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from tiny_runs import checkpoint_steps, make_run, memory_of_runs, pretrain, results, write_text

from spacy_elmo import BiLM
from spacy_elmo.formats import read_softmax
from spacy_elmo.pretraining import checkpoints
from spacy_elmo.pretraining import results as results_module
from spacy_elmo.pretraining.learning.processes import Processes
from spacy_elmo.pretraining.learning.trainer import Diverged
from spacy_elmo.pretraining.reports import run_log
from spacy_elmo.pretraining.reports.run_log import RunLog
from spacy_elmo.pretraining.results import Results
from spacy_elmo.pretraining.run import Run
from spacy_elmo.pretraining.start import read_model

ALWAYS = {"training__checkpoint_minutes": 1e-9}  # a checkpoint after every step
SHORT = {"training__max_steps": 8, **ALWAYS}
CARRIES = {"training__carry_state": True, "training__dropout": 0.2, **ALWAYS}
STARTS_ANEW = {"training__carry_state": False, "training__dropout": 0.2, **ALWAYS}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    return memory_of_runs(tmp_path_factory.mktemp("unbroken"))


@pytest.fixture(autouse=True)
def quick_curves(monkeypatch):
    """Drawing takes longer than the rest of a tiny run."""
    monkeypatch.setattr(results_module, "plot_curves", lambda reports, path, title: path.touch())


@pytest.fixture(autouse=True)
def one_thread():
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


def stop_at(run, step, stop):
    """Has something happen in the middle of a step."""
    compute = run.trainer.compute.__class__.__call__

    class Stopping(run.trainer.compute.__class__):
        def __call__(self, batch):
            if run.trainer.progress.steps + 1 == step:
                stop()
            return compute(self, batch)

    run.trainer.compute.__class__ = Stopping


def interrupt(output, step, **changes):
    """A run that Ctrl-C ends after a step."""
    run = make_run(output, **changes)
    run.start(resume=True)
    stop_at(run, step, lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        run.train()


def lose_weights(step, n_steps, monkeypatch):
    """Make gradients of some steps NaN."""
    average = Processes.average_gradients
    calls = iter(range(1, 10_000))

    def average_gradients(self, module):
        average(self, module)
        if step <= next(calls) < step + n_steps:
            module.softmax.bias.grad[0] = torch.nan

    monkeypatch.setattr(Processes, "average_gradients", average_gradients)


@pytest.mark.parametrize("changes", [CARRIES, STARTS_ANEW], ids=["carried state", "from zeros"])
@pytest.mark.parametrize("step", [3, 8])
def test_resumed_run_is_the_unbroken_one(tmp_path, unbroken, changes, step):
    """To the bit, between evaluations and right after one."""
    interrupt(tmp_path / "broken", step, **changes)
    assert max(checkpoint_steps(tmp_path / "broken")) == step
    pretrain(tmp_path / "broken", resume=True, **changes)
    assert results(tmp_path / "broken") == unbroken(**changes)


def test_resume_goes_back_to_the_last_checkpoint(tmp_path, unbroken):
    """What the log and model-best got after it is made again."""
    rarely = {"training__checkpoint_minutes": 1e9}
    interrupt(tmp_path / "broken", 5, **rarely)

    def stop():
        raise MemoryError

    run = make_run(tmp_path / "broken", **rarely)
    run.start(resume=True)
    stop_at(run, 15, stop)
    with pytest.raises(MemoryError):
        run.train()
    assert checkpoint_steps(tmp_path / "broken") == [5]
    assert [report.step for report in RunLog(tmp_path / "broken/log.jsonl").read()] == [4, 8, 12]
    pretrain(tmp_path / "broken", resume=True, **rarely)
    assert results(tmp_path / "broken") == unbroken(**rarely)


def test_resume_after_the_end_changes_nothing(tmp_path):
    pretrain(tmp_path / "run")
    before = results(tmp_path / "run")
    pretrain(tmp_path / "run", resume=True)
    assert results(tmp_path / "run") == before


def test_resume_with_more_steps(tmp_path, unbroken):
    constant = {"training__optimizer__learn_rate": 0.002}
    pretrain(tmp_path / "run", training__max_steps=12, **constant)
    pretrain(tmp_path / "run", resume=True, training__max_steps=24, **constant)
    assert results(tmp_path / "run") == unbroken(training__max_steps=24, **constant)


def test_resume_without_a_checkpoint_begins_anew(tmp_path, capsys, unbroken):
    pretrain(tmp_path / "run", resume=True)
    assert "There is no checkpoint" in capsys.readouterr().out
    assert results(tmp_path / "run") == unbroken()


@pytest.mark.parametrize(
    ("name", "value"),
    [("training.batch_size", 8), ("training.seed", 5), ("sentences of training text", 200)],
)
def test_resume_of_another_run(tmp_path, name, value):
    pretrain(tmp_path / "run", training__max_steps=1)
    changes = {name: value}
    if " " in name:
        changes = {"paths.train": str(write_text(tmp_path / "other.txt", value))}
    run = make_run(tmp_path / "run", **changes)
    with pytest.raises(ValueError, match=f"for {name}, but this run has {value}"):
        run.start(resume=True)


def test_resume_with_another_optimizer(tmp_path):
    pretrain(tmp_path / "run", training__max_steps=1)
    run = make_run(
        tmp_path / "run",
        training__optimizer={"@optimizers": "spacy-elmo.Adagrad.v1"},
    )
    with pytest.raises(ValueError, match="step-000000001.*another optimizer"):
        run.start(resume=True)


def test_damaged_checkpoint(tmp_path):
    """Whatever is missing or cut, the error names the folder, and without it the checkpoint before
    is the last one."""
    pretrain(tmp_path / "run", training__max_steps=2, **ALWAYS)
    last = tmp_path / "run/checkpoints/step-000000002"
    run = make_run(tmp_path / "run")
    files = sorted(last.iterdir())
    assert len(files) == 8
    for file in files:
        content = file.read_bytes()
        file.unlink()
        for _ in range(2):  # without the file, then with half of it
            with pytest.raises(ValueError, match="step-000000002 is damaged.*Remove this folder"):
                run.start(resume=True)
            file.write_bytes(content[: len(content) // 2])
        file.write_bytes(content)
    last.rename(tmp_path / "away")
    run.start(resume=True)
    assert run.trainer.progress.steps == 1


def test_checkpoint_that_lacks_something(tmp_path):
    """Each key of its JSON files, and each tensor of a process's own, is missing once."""
    pretrain(tmp_path / "run", training__max_steps=1, training__carry_state=True)
    last = tmp_path / "run/checkpoints/step-000000001"
    run = make_run(tmp_path / "run", training__carry_state=True)
    n_missing = 0
    for name in ("progress.json", "rank-0.json", "rank-0.safetensors"):
        file = last / name
        content = file.read_bytes()
        is_json = file.suffix == ".json"
        values = json.loads(content) if is_json else load(content)
        in_batches = [("batches", key) for key in values.get("batches", ())]
        for *blocks, key in [*((key,) for key in values), *in_batches]:
            changed = json.loads(content) if is_json else dict(values)
            block = changed[blocks[0]] if blocks else changed
            del block[key]
            file.write_bytes(json.dumps(changed).encode() if is_json else save(changed))
            with pytest.raises(ValueError, match=rf"step-000000001 is damaged.*'{key}'"):
                run.start(resume=True)
            n_missing += 1
        file.write_bytes(content)
    assert n_missing > 20
    run.start(resume=True)


def full_after(n_writes, write):
    """A write that finds the disk full from some call on."""
    calls = iter(range(n_writes))

    def full(*arguments, **options):
        if next(calls, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(*arguments, **options)

    return full


@pytest.mark.parametrize("part", ["_write_json", "_write_tensors", "_flush"])
def test_full_disk_keeps_the_checkpoint_before(tmp_path, unbroken, monkeypatch, part):
    with monkeypatch.context() as patch:  # in the fourth checkpoint
        patch.setattr(checkpoints, part, full_after(7, getattr(checkpoints, part)))
        with pytest.raises(OSError, match="No space left"):
            pretrain(tmp_path / "run", **SHORT)
    assert checkpoint_steps(tmp_path / "run") == [2, 3]
    assert not list((tmp_path / "run/checkpoints").glob(".*"))
    pretrain(tmp_path / "run", resume=True, **SHORT)
    assert results(tmp_path / "run") == unbroken(**SHORT)


def test_disk_full_in_the_log(tmp_path, unbroken, monkeypatch):
    """A line that is half written doesn't stay."""

    def append(self, report):
        with self.path.open("ab") as file:
            file.write(run_log._to_line(report)[:20])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(RunLog, "append", append)
        with pytest.raises(OSError, match="No space left"):
            pretrain(tmp_path / "run", **SHORT)
    pretrain(tmp_path / "run", resume=True, **SHORT)
    assert results(tmp_path / "run") == unbroken(**SHORT)


@pytest.mark.parametrize("step", [4, 5])
def test_one_step_without_finite_loss_is_left_out(tmp_path, monkeypatch, step):
    lose_weights(step, 2, monkeypatch)
    pretrain(tmp_path / "run", training__max_skipped=3)
    reports = RunLog(tmp_path / "run/log.jsonl").read()
    assert [report.skipped for report in reports] == [1 if step == 4 else 0, 2, 2, 2, 2, 2]
    assert np.isfinite([report.loss_forward for report in reports]).all()


def same_weights(model, other):
    return all(
        (model / name).read_bytes() == (other / name).read_bytes()
        for name in ("model.safetensors", "softmax.safetensors")
    )


def explode(run, step):
    """Make weights huge in the middle of a step, so that no loss is finite any more."""

    def multiply():
        with torch.no_grad():
            run.trainer.model.softmax.weight.fill_(torch.finfo(torch.float32).max / 2)

    stop_at(run, step, multiply)


def test_several_steps_without_finite_loss_end_the_run(tmp_path, capsys):
    """What is left is the last checkpoint's, not the finite weights that made the loss overflow.
    Of the steps without a loss there are no checkpoints."""
    run = make_run(tmp_path / "run", training__max_skipped=3, **ALWAYS)
    run.start(resume=False)
    explode(run, 10)
    with pytest.raises(Diverged, match="3 steps in a row, up to step 12"):
        run.train()
    assert all(parameter.isfinite().all() for parameter in run.trainer.model.parameters())
    assert checkpoint_steps(tmp_path / "run") == [8, 9]
    checkpoint = tmp_path / "run/checkpoints/step-000000009"
    assert same_weights(tmp_path / "run/model-last", checkpoint)
    assert f"gets the weights of {checkpoint}" in " ".join(capsys.readouterr().out.split())
    assert (tmp_path / "run/curves.png").exists()
    assert "Steps | 9 of 24" in (tmp_path / "run/model-last/README.md").read_text()


def test_end_of_training_without_finite_loss(tmp_path, monkeypatch):
    """Too few steps to have ended it before."""
    lose_weights(23, 100, monkeypatch)
    with pytest.raises(Diverged, match="isn't finite since step 23.* ended"):
        pretrain(tmp_path / "run", training__max_skipped=10, **ALWAYS)
    assert checkpoint_steps(tmp_path / "run") == [21, 22]
    assert same_weights(tmp_path / "run/model-last", tmp_path / "run/checkpoints/step-000000022")


def test_interrupt_without_finite_loss(tmp_path, monkeypatch, capsys):
    lose_weights(6, 100, monkeypatch)
    interrupt(tmp_path / "run", 7, **ALWAYS)
    assert checkpoint_steps(tmp_path / "run") == [4, 5]
    assert "since step 6. There is no checkpoint" in " ".join(capsys.readouterr().out.split())


def test_checkpoint_that_is_due_without_finite_loss(tmp_path, monkeypatch):
    """It is written with the next step that has one."""
    saved = []

    def save(self):
        saved.append(self.trainer.progress.steps)
        return save_checkpoint(self)

    save_checkpoint = Run._save_checkpoint
    monkeypatch.setattr(Run, "_save_checkpoint", save)
    lose_weights(3, 4, monkeypatch)
    pretrain(tmp_path / "run", **SHORT)
    assert saved == [1, 2, 7, 8]


def test_lost_weights_are_replaced_by_the_last_checkpoints(tmp_path, capsys):
    """An update was too large, though its gradient was finite."""
    run = make_run(tmp_path / "run", **ALWAYS)
    run.start(resume=False)

    def lose():
        with torch.no_grad():
            run.trainer.model.softmax.bias[0] = torch.inf

    stop_at(run, 7, lose)
    with pytest.raises(Diverged, match="aren't finite"):
        run.train()
    assert "Training diverged" in capsys.readouterr().out
    assert checkpoint_steps(tmp_path / "run") == [5, 6]
    last, checkpoint = tmp_path / "run/model-last", tmp_path / "run/checkpoints/step-000000006"
    assert same_weights(last, checkpoint)
    assert "Steps | 6 of 24" in (last / "README.md").read_text()


def test_exploded_weights_without_a_checkpoint(tmp_path, capsys):
    run = make_run(tmp_path / "run", training__max_skipped=3)
    run.start(resume=False)
    explode(run, 10)
    with pytest.raises(Diverged):
        run.train()
    assert "isn't written" in capsys.readouterr().out
    assert not (tmp_path / "run/model-last").exists()


def test_lost_weights_without_a_checkpoint(tmp_path, capsys):
    with pytest.raises(Diverged):
        pretrain(tmp_path / "run", training__optimizer__learn_rate=1e38, training__max_skipped=2)
    assert "isn't written" in capsys.readouterr().out
    assert not (tmp_path / "run/model-last").exists()


def test_patience(tmp_path):
    """No better perplexity for so many steps ends training, also when it is resumed."""
    changes = {"training__patience": 8, "training__optimizer__learn_rate": 1e-30}
    run = pretrain(tmp_path / "run", **changes)
    assert run.trainer.progress.steps == run.best[1] + 8 == 12
    again = pretrain(tmp_path / "run", resume=True, **changes)
    assert again.trainer.progress.steps == 12


def test_epochs(tmp_path):
    """Training ends with the step that begins one more, and goes on if there are to be more."""
    text = write_text(tmp_path / "short.txt", 40)
    changes = {"paths__train": str(text), "training__max_steps": 1000}
    changes["training__optimizer__learn_rate"] = 0.002
    run = pretrain(tmp_path / "run", training__max_epochs=2, **changes)
    n_tokens = run.train_store.n_tokens + run.train_store.n_sentences
    # The four streams may be in the middle of sentences, of ten words at most.
    assert abs(run.trainer.progress.words - 2 * n_tokens) < 4 * (11 + 5)
    last = run.log.read()[-1]
    assert last.step == run.trainer.progress.steps and last.epoch == 2
    assert last.seconds_left == 0
    assert max(checkpoint_steps(tmp_path / "run")) == last.step
    assert len(run.log.read()) == -(-last.step // 4)
    again = pretrain(tmp_path / "run", resume=True, training__max_epochs=2, **changes)
    assert again.trainer.progress.steps == last.step
    more = pretrain(tmp_path / "run", resume=True, training__max_epochs=3, **changes)
    assert more.trainer.batches.epoch == 3


def test_steps_may_end_training_before_epochs(tmp_path):
    run = pretrain(tmp_path / "run", training__max_epochs=1000)
    assert run.trainer.progress.steps == 24


def test_best(tmp_path):
    """The biLM of the lowest held-out perplexity, whose card says when it was that."""
    rates = [0.05] * 8 + [-0.05] * 16  # learns, then unlearns
    run = pretrain(tmp_path / "run", training__optimizer__learn_rate=rates)
    reports = run.log.read()
    best = min(reports, key=lambda report: report.perplexity)
    assert run.best == (best.perplexity, best.step) and best.step < 24
    assert f"Steps | {best.step} of 24" in (tmp_path / "run/model-best/README.md").read_text()
    stored = run.results.evaluate(read_model(tmp_path / "run/model-best"))
    assert stored.both == pytest.approx(best.perplexity, rel=1e-6)


def test_no_process_waits_for_what_the_first_one_writes_at_the_end(tmp_path, monkeypatch):
    events = []
    draw_curves = Results.draw_curves
    monkeypatch.setattr(Processes, "wait", lambda self: events.append("wait"))
    monkeypatch.setattr(
        Results, "draw_curves", lambda *args: draw_curves(*args) or events.append("finished")
    )
    pretrain(tmp_path / "run", training__max_steps=1)
    assert "wait" in events and events[-1] == "finished"


@pytest.mark.parametrize(("rate", "n_measured"), [(0.01, 1), (-0.01, 2)])
def test_held_out_text_is_read_once_for_the_same_bilm(tmp_path, monkeypatch, rate, n_measured):
    """If the last step's is the best one."""
    read = []

    def measure(model, sentences, **options):
        read.append(len(sentences))
        return perplexity(model, sentences, **options)

    perplexity = results_module.perplexity
    monkeypatch.setattr(results_module, "perplexity", measure)
    changes = {"training__max_steps": 8, "training__max_eval_words": 20}
    run = pretrain(tmp_path / "run", training__optimizer__learn_rate=rate, **changes)
    assert run.best[1] == (8 if n_measured == 1 else 4)
    assert read.count(run.dev_store.n_sentences) == n_measured
    cards = [tmp_path / f"run/model-{name}/README.md" for name in ("last", "best")]
    lines = [next(x for x in card.read_text().split("\n") if "perplexity" in x) for card in cards]
    assert (lines[0] == lines[1]) == (n_measured == 1)


@pytest.mark.parametrize("torn", [False, True], ids=["whole", "half written"])
def test_best_of_steps_that_are_forgotten(tmp_path, monkeypatch, torn):
    """A run is killed when model-best is newer than the last checkpoint. The resumed one, which
    takes another way, has a model-best of its own."""
    rarely = {"training__checkpoint_minutes": 1e9, "training__optimizer__learn_rate": 0.05}
    interrupt(tmp_path / "run", 5, **rarely)
    run = make_run(tmp_path / "run", **rarely)
    run.start(resume=True)
    if torn:
        monkeypatch.setattr(results_module, "replacing", lambda path: 1 / 0)  # ends in keep_best()

    def stop():
        raise ZeroDivisionError

    stop_at(run, 9, stop)
    with pytest.raises(ZeroDivisionError):
        run.train()
    monkeypatch.undo()
    worse = {**rarely, "training__optimizer__learn_rate": -0.05, "training__patience": 8}
    run = pretrain(tmp_path / "run", resume=True, **worse)
    assert run.best[1] == 8 and run.trainer.progress.steps == 16
    best = next(report for report in run.log.read() if report.step == 8)
    assert run.best[0] == best.perplexity
    stored = run.results.evaluate(read_model(tmp_path / "run/model-best"))
    assert stored.both == pytest.approx(best.perplexity, rel=1e-6)
    assert "Steps | 8 of 24" in (tmp_path / "run/model-best/README.md").read_text()


def test_best_that_is_older_than_the_checkpoint_stays(tmp_path):
    changes = {"training__optimizer__learn_rate": [0.05] * 4 + [-0.05] * 20}
    interrupt(tmp_path / "run", 10, **changes)
    before = (tmp_path / "run/model-best/model.safetensors").read_bytes()
    run = pretrain(tmp_path / "run", resume=True, **changes)
    assert run.best[1] == 4
    assert (tmp_path / "run/model-best/model.safetensors").read_bytes() == before


def test_without_held_out_text(tmp_path):
    run = pretrain(tmp_path / "run", paths__dev=None, training__patience=4)
    assert run.trainer.progress.steps == 24
    assert not (tmp_path / "run/model-best").exists()
    assert (
        "| Held-out perplexity | not measured |"
        in (tmp_path / "run/model-last/README.md").read_text()
    )
    assert all(np.isnan(report.perplexity) for report in run.log.read())


@pytest.mark.parametrize("carry_state", [False, True])
def test_evaluations_read_sentences_from_all_over_the_text(tmp_path, carry_state):
    """Of which the second half is unknown words."""
    lines = ["The dog sees.\n"] * 400 + ["Xyzzy plugh.\n"] * 400
    (tmp_path / "all.txt").write_text("".join(lines))
    changes = {"paths__dev": str(tmp_path / "all.txt"), "training__carry_state": carry_state}
    run = make_run(tmp_path / "run", **changes)
    run.start(resume=False)
    result = run.results.evaluate(run.trainer.model, max_words=700)
    assert result.n_sentences == 200 and result.n_tokens == 100 * 4 + 100 * 3
    assert result.n_unknown == 100 * 2
    assert run.results.evaluate(run.trainer.model).n_sentences == 800


def test_held_out_text_that_is_gone_when_resumed(tmp_path):
    pretrain(tmp_path / "run", training__max_steps=8)
    pretrain(tmp_path / "run", resume=True, paths__dev=None)
    assert (tmp_path / "run/model-best").exists()


def test_without_softmax(tmp_path):
    """Only the finished biLMs go without: the run can still be resumed."""
    changes = {"keep_softmax": False, "training__optimizer__learn_rate": 1e-30}
    pretrain(tmp_path / "run", training__max_steps=8, **changes)
    pretrain(tmp_path / "run", resume=True, training__max_steps=12, **changes)
    for name in ("model-last", "model-best"):
        assert read_softmax(tmp_path / "run" / name) is None
        assert not (tmp_path / "run" / name / "vocabulary.txt").exists()
        assert BiLM.load(tmp_path / "run" / name).embed([["a", "dog"]])[0].shape == (3, 2, 16)
    assert read_softmax(tmp_path / "run/checkpoints/step-000000012") is not None


def test_card(tmp_path):
    run = pretrain(tmp_path / "run", card__licence="CC BY 4.0", training__carry_state=True)
    card = (tmp_path / "run/model-last/README.md").read_text()
    n_bytes = (tmp_path / "train.txt").stat().st_size
    for part in [
        "| Optimizer | Adam (beta1 0.9, beta2 0.99, eps 1e-08) |",
        "| Learning rate | warmup_linear (initial_rate 0.004, warmup_steps 4, total_steps 24) |",
        "| Steps | 24 of 24 |",
        "| Licence | CC BY 4.0 |",
        "tokens (0.",
        f"`train.txt`, {n_bytes / 1000:.1f} KB",
        "the state carried on",
    ]:
        assert part in card
    result = run.results.evaluate(run.trainer.model)
    assert f"{result.forward:.2f} forward, {result.backward:.2f} backward" in card
    log = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    assert [line["words"] for line in log] == [80, 160, 240, 320, 400, 480]
