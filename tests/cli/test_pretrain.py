"""``python -m spacy elmo pretrain``: what it refuses, and that nothing that ends it costs more than
the time since the last checkpoint."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest
import spacy
import torch
from spacy.tokens import DocBin
from tiny_runs import arguments, checkpoint_steps, memory_of_runs, results

from spacy_elmo import BiLM
from spacy_elmo.pretraining import results as results_module

ALWAYS = {"training__checkpoint_minutes": 1e-9}  # a checkpoint after every step
SHORT = {"training__max_steps": 8, **ALWAYS}
LONG = {"training__max_steps": 120, "training__eval_frequency": 20, **ALWAYS}

# A module of --code: while the fourth checkpoint is written, kills the process right before
# something happens to a file.
KILL = """
import os, signal, sys
from pathlib import Path
from spacy_elmo.pretraining.checkpoints import Checkpoints
save, moment = Checkpoints.save, {moment!r}
is_watched = False
def watch(event, arguments):
    if is_watched and event in ("open", "os.rename", "shutil.rmtree"):
        names = [Path(path).name for path in arguments[:2] if isinstance(path, (str, Path))]
        if " ".join([event, *names]).startswith(moment):
            os.kill(os.getpid(), signal.SIGKILL)
def watched(self, step, *rest):
    global is_watched
    is_watched = step == 4
    return save(self, step, *rest)
Checkpoints.save = watched
sys.addaudithook(watch)
"""


def start(output, *more, **changes):
    command = [sys.executable, "-m", "spacy", "elmo", "pretrain"]
    parts = arguments(output.parent, **changes)
    return subprocess.Popen(
        [*command, *parts, "--output", str(output), *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def finish(process):
    """Its exit code and output, in which runs of white space are one blank."""
    output, _ = process.communicate(timeout=600)
    return process.returncode, " ".join(output.split())


def wait_for_checkpoint(process, output):
    steps = len(checkpoint_steps(output)) and max(checkpoint_steps(output))
    while process.poll() is None:
        if any(step > steps for step in checkpoint_steps(output)):
            return
        time.sleep(0.005)


@pytest.fixture(autouse=True)
def one_thread():
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    return memory_of_runs(tmp_path_factory.mktemp("unbroken"))


@pytest.fixture(autouse=True)
def quick_curves(request, monkeypatch):
    """Drawing takes longer than the rest of a tiny run."""
    if request.node.name != "test_config_that_is_kept_can_be_run_again":
        monkeypatch.setattr(results_module, "plot_curves", lambda reports, path, title: None)


def test_killed_at_any_moment(tmp_path, unbroken):
    """The last checkpoint always loads, and the run ends as if nothing had happened."""
    random.seed(0)
    output = tmp_path / "run"
    for _ in range(3):
        process = start(output, "--resume", **LONG)
        wait_for_checkpoint(process, output)
        time.sleep(0.2 * random.random())
        process.kill()
        process.communicate()
        last = output / "checkpoints" / f"step-{max(checkpoint_steps(output)):09}"
        BiLM.load(last)
    code, text = finish(start(output, "--resume", **LONG))
    assert code == 0, text
    assert f"Going on from {last}" in text
    assert results(output) == unbroken(**LONG)


@pytest.mark.parametrize(
    ("moment", "steps"),
    [
        ("open rank-0.json", [2, 3]),  # its first file
        ("open progress.json", [2, 3]),  # its last one
        ("os.rename .step-000000004.tmp step-000000004", [2, 3]),
        ("os.rename step-000000002", [2, 3, 4]),  # it has its name, and an old one is still there
        ("shutil.rmtree .step-000000002.tmp", [3, 4]),
    ],
)
def test_killed_while_a_checkpoint_is_written(tmp_path, unbroken, run, moment, steps):
    output, code = tmp_path / "run", tmp_path / "kill.py"
    code.write_text(KILL.format(moment=moment))
    process = start(output, "--code", str(code), **SHORT)
    exit_code, text = finish(process)
    assert exit_code == -signal.SIGKILL, text
    assert checkpoint_steps(output) == steps
    arguments_ = arguments(tmp_path, **SHORT)
    exit_code, text = run("pretrain", *arguments_, "--output", output, "--resume")
    assert exit_code == 0, text
    assert not list((output / "checkpoints").glob(".*"))
    assert results(output) == unbroken(**SHORT)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_writes_a_checkpoint(tmp_path, number):
    output = tmp_path / "run"
    changes = {"training__max_steps": 1_000_000, "training__eval_frequency": 5}
    process = start(output, **changes)
    while not (output / "log.jsonl").exists() and process.poll() is None:
        time.sleep(0.01)
    assert not checkpoint_steps(output)
    process.send_signal(number)
    code, text = finish(process)
    assert code == 130
    assert "The same command with --resume goes on" in text
    assert len(checkpoint_steps(output)) == 1
    assert not (output / "model-last").exists()


def test_second_interrupt_ends_at_once(tmp_path):
    output, code = tmp_path / "run", tmp_path / "slow.py"
    code.write_text(
        "import time\nfrom spacy_elmo.pretraining.learning.trainer import Trainer\n"
        "Trainer.step = lambda self: print('step', flush=True) or time.sleep(1000)\n"
    )
    process = start(output, "--code", str(code))
    assert process.stdout is not None
    while "step" not in process.stdout.readline().split():
        pass
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert finish(process)[0] == 130
    assert not checkpoint_steps(output)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_full_disk(tmp_path, run, unbroken):
    """A real one: no file may become larger than this. The checkpoint before stays, and the error
    says how to go on."""
    output = tmp_path / "run"
    code = tmp_path / "full.py"
    # The disk fills up after the second checkpoint: the third's weights don't fit any more.
    code.write_text(
        "import resource\nfrom spacy_elmo.pretraining.checkpoints import Checkpoints\n"
        "save = Checkpoints.save\n"
        "def limited(self, step, *rest):\n"
        "    if step == 3:\n"
        "        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource.RLIM_INFINITY))\n"
        "    return save(self, step, *rest)\n"
        "Checkpoints.save = limited\n"
    )
    exit_code, text = finish(start(output, "--code", str(code), **SHORT))
    assert exit_code == 1
    assert "ended" in text and "File too large" in text
    assert "--resume goes on from" in text and "step-000000002" in text
    assert "Traceback" not in text
    assert checkpoint_steps(output) == [1, 2]
    exit_code, text = run("pretrain", *arguments(tmp_path, **SHORT), "--output", output, "--resume")
    assert exit_code == 0, text
    assert results(output) == unbroken(**SHORT)


def test_loss_that_is_not_finite(tmp_path, run):
    exit_code, text = run(
        "pretrain",
        *arguments(
            tmp_path, training__max_skipped=2, training__optimizer__learn_rate=1e38, **ALWAYS
        ),
        *("--output", tmp_path / "run"),
    )
    assert exit_code == 1
    assert "aren't finite" in text and "may help" in text


def test_output_that_holds_a_run(tmp_path, run):
    output = tmp_path / "run"
    assert run("pretrain", *arguments(tmp_path), "--output", output)[0] == 0
    before = {path: path.stat().st_mtime_ns for path in output.rglob("*")}
    code, text = run("pretrain", *arguments(tmp_path, training__seed=9), "--output", output)
    assert code == 1
    assert "holds a run. --resume goes on with it" in text
    assert {path: path.stat().st_mtime_ns for path in output.rglob("*")} == before


def test_config_of_a_refused_resumption_is_not_kept(tmp_path, run):
    output = tmp_path / "run"
    assert run("pretrain", *arguments(tmp_path), "--output", output)[0] == 0
    before = (output / "config.cfg").read_text()
    changed = arguments(tmp_path, training__batch_size=7)
    code, text = run("pretrain", *changed, "--output", output, "--resume")
    assert code == 1
    assert "training.batch_size" in text
    assert (output / "config.cfg").read_text() == before


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"training__foo": 1}, "training.foo: there is no such setting"),
        ({"training__batch_size": 0}, "training.batch_size: Input should be greater than"),
        ({"training__optimizer__beta3": 1}, "beta3"),
        ({"trainnig__seed": 1}, "trainnig"),
        ({"nlp__lang": "xx9"}, "xx9"),
        ({"paths__train": None}, "set paths.train"),
        ({"paths__train": "nowhere.txt"}, "Check the path of the texts"),
        ({"paths__dev": "nowhere.txt"}, "Check the path of the texts"),
        ({"paths__vocabulary": "nowhere.txt"}, "nowhere.txt"),
        ({"paths__source": "nowhere"}, "nowhere"),
        ({"bilm__lstm__dim": -1}, "dim"),
        ({"corpus__train__@readers": "nothing.v1"}, "nothing.v1"),
    ],
)
def test_wrong_settings(tmp_path, run, changes, problem):
    code, text = run("pretrain", *arguments(tmp_path, **changes), "--output", tmp_path / "run")
    assert code == 1
    assert problem in text
    assert "Training in" not in text  # it hasn't begun
    for name in ("checkpoints", "log.jsonl", "model-last", "config.cfg"):
        assert not (tmp_path / "run" / name).exists()


def test_unwritable_output(tmp_path, run):
    (tmp_path / "run").write_text("a file")
    code, text = run("pretrain", *arguments(tmp_path), "--output", tmp_path / "run")
    assert code == 1
    assert "Can't pretrain" in text and "File exists" in text


def test_config_that_is_kept_can_be_run_again(tmp_path, run):
    first, second = tmp_path / "first", tmp_path / "second"
    assert run("pretrain", *arguments(tmp_path), "--output", first)[0] == 0
    assert run("pretrain", first / "config.cfg", "--output", second)[0] == 0
    assert results(first) == results(second)
    assert (first / "curves.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("lang", "text", "words"),
    [
        ("zh", "他坐在河边。\n她去银行。\n", ["他", "坐", "在", "河", "边", "。"]),
        ("de", "Er sagt z.B. nichts.\n", ["Er", "sagt", "z.B.", "nichts", "."]),
    ],
)
def test_other_languages(tmp_path, run, lang, text, words):
    """Each language's own tokenizer: Chinese is read character by character."""
    path = tmp_path / "text.txt"
    path.write_text(text, encoding="utf-8")
    changes = {"nlp__lang": lang, "paths__train": str(path), "paths__dev": None}
    changes["training__max_steps"] = 2
    code, out = run("pretrain", *arguments(tmp_path, **changes), "--output", tmp_path / "run")
    assert code == 0, out
    vocabulary = (tmp_path / "run/vocabulary.txt").read_text(encoding="utf-8").split("\n")
    assert set(words) < set(vocabulary)
    assert f"A biLM for `{lang}`" in (tmp_path / "run/model-last/README.md").read_text()


def test_shards_of_docs(tmp_path, run):
    nlp = spacy.blank("en")
    (tmp_path / "shards").mkdir()
    for i, text in enumerate(["He sat by the river.", "She went to the bank."]):
        DocBin(docs=[nlp(text)] * 5).to_disk(tmp_path / "shards" / f"{i}.spacy")
    changes = {"paths__train": str(tmp_path / "shards"), "training__max_steps": 2}
    code, text = run("pretrain", *arguments(tmp_path, **changes), "--output", tmp_path / "run")
    assert code == 0, text
    words = (tmp_path / "run/vocabulary.txt").read_text().split()
    assert {"river", "bank", "."} < set(words)
    assert "`1.spacy`" in (tmp_path / "run/model-last/README.md").read_text()
