"""Several processes on this machine, which ``torchrun`` starts, against one."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from small_corpora import random_sentences
from training_parts import make_trainer
from typer.testing import CliRunner

from spacy_elmo.cli import elmo_cli
from spacy_elmo.pretraining.corpus.batches import Batch
from spacy_elmo.pretraining.learning.processes import Processes, join_processes

HERE = Path(__file__).parent
TESTS = HERE.parent.parent
CONFIG = TESTS.parent / "configs" / "pretrain.cfg"
CPU = torch.device("cpu")


def torchrun(*arguments):
    """Start two processes. They find each other at a free port."""
    paths = [str(TESTS), os.environ.get("PYTHONPATH", "")]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command += ["--standalone", *map(str, arguments)]
    return subprocess.Popen(
        command, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """What two processes have found."""
    folder = tmp_path_factory.mktemp("ranks")
    process = torchrun(HERE / "one_of_several.py", folder)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    return [dict(np.load(folder / f"rank-{rank}.npz")) for rank in range(2)]


def test_gradients_are_averaged(ranks):
    for i in range(3):
        mean = (ranks[0][f"before.{i}"] + ranks[1][f"before.{i}"]) / 2
        for rank in ranks:
            np.testing.assert_allclose(rank[f"after.{i}"], mean, rtol=1e-6)
        np.testing.assert_array_equal(*(rank[f"after.{i}"] for rank in ranks))


def test_no_thread_is_left_when_the_processes_part(ranks):
    """One that outlives its group may abort the process when Python ends."""
    for rank in ranks:
        assert not [name for name in rank["threads"] if "gloo" in name]


def test_no_other_rows_get_a_gradient(ranks):
    """A sparse optimizer would update them, if only by their momentum."""
    for rank in ranks:
        assert rank["rows"].tolist() == [1, 2, 5, 7, 8]


def test_sums(ranks):
    for rank in ranks:
        np.testing.assert_array_equal(rank["sums"], [3.0, 1.0, np.nan])


@pytest.mark.parametrize("name", ["plain", "nan", "unbroken", "resumed"])
def test_all_processes_have_the_same_weights_and_losses(ranks, name):
    for what in ("weights", "losses"):
        np.testing.assert_array_equal(*(rank[f"{name}.{what}"] for rank in ranks))


class BothShares:
    """The batches of two processes as one."""

    def __init__(self, shares):
        self.shares = shares

    def next(self):
        one, two = (share.next() for share in self.shares)
        first, second = ([*batch.words[0], *batch.words[1]] for batch in (one, two))
        shape = (2, -1, one.sizes[0])
        keep = [batch.keep.reshape(shape[1:]) for batch in (one, two)]
        inputs = [one.inputs.reshape(shape), len(first) + two.inputs.reshape(shape)]
        return Batch(
            (first, second),  # some words twice, which changes nothing
            torch.cat(inputs, dim=2).flatten(1),
            torch.cat([batch.targets.reshape(shape) for batch in (one, two)], dim=2).flatten(1),
            torch.cat(keep, dim=1).reshape(-1, 1),
            [2 * size for size in one.sizes],
        )


def test_two_processes_learn_what_one_learns_from_twice_the_batch(ranks):
    trainer = make_trainer(Processes(0, 1, CPU))
    shares = [make_trainer(NoMessages(rank, 2, CPU)).batches for rank in range(2)]
    trainer.batches = BothShares(shares)
    losses = []
    for _ in range(len(ranks[0]["plain.losses"])):
        trainer.step()
        losses.append(trainer.progress.take_losses()[:2])
    np.testing.assert_allclose(ranks[0]["plain.losses"][:, :2], losses, rtol=1e-4)
    weights = torch.cat([p.detach().flatten() for p in trainer.model.parameters()])
    np.testing.assert_allclose(ranks[0]["plain.weights"], weights, rtol=1e-3, atol=1e-4)
    assert losses[-1][0] < losses[0][0] - 0.1  # it has learned something


class NoMessages(Processes):
    """One of several, of which the others aren't there."""

    def send_parameters(self, module):
        pass


def test_all_skip_the_step_that_is_not_finite_in_one(ranks):
    for rank in ranks:
        skipped = np.isnan(rank["nan.losses"][:, 0])
        assert np.flatnonzero(skipped).tolist() == [3, 7]
        assert rank["nan.losses"][:, 2].astype(bool).tolist() == skipped.tolist()  # no states
        assert rank["skipped"] == 2
        assert np.isfinite(rank["nan.weights"]).all()


def test_all_end_together_when_one_diverges(ranks):
    assert all(rank["diverged"] for rank in ranks)


def test_each_process_goes_on_from_its_own_state(ranks):
    for rank in ranks:
        whole, parts = rank["unbroken.losses"], [rank["first.losses"], rank["resumed.losses"]]
        np.testing.assert_array_equal(np.concatenate(parts), whole)
        np.testing.assert_array_equal(rank["resumed.weights"], rank["unbroken.weights"])


def test_one_process():
    with join_processes() as processes:
        assert (processes.rank, processes.world_size, processes.device) == (0, 1, CPU)
        assert processes.is_first
        processes.wait()
        assert processes.sum([1.5, 2]) == [1.5, 2]
        parameter = torch.nn.Parameter(torch.zeros(2))
        parameter.grad = gradient = torch.ones(2)
        processes.average_gradients(torch.nn.ParameterList([parameter]))
        assert parameter.grad is gradient


def test_a_gpu_that_is_not_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ValueError, match="finds no GPU"), join_processes(0):
        pass
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ValueError, match="There is no GPU 2: PyTorch finds 2"), join_processes(2):
        pass
    monkeypatch.setenv("LOCAL_RANK", "3")
    with pytest.raises(ValueError, match="There is no GPU 3"), join_processes(0):
        pass


class Pretraining:
    """The command in two processes.

    folder: Of the text and the runs.
    """

    steps = 60

    def __init__(self, folder):
        self.folder = folder
        for name, seed in [("train", 0), ("dev", 1)]:
            lines = (" ".join(sentence) + " ." for sentence in random_sentences(150, seed))
            (folder / f"{name}.txt").write_text("\n".join(lines), encoding="utf-8")

    def arguments(self, name, *more, batch_size=4):
        overrides = {
            "nlp.lang": "xx",  # whose tokenizer is made at once
            "training.n_process": 1,
            "paths.train": self.folder / "train.txt",
            "paths.dev": self.folder / "dev.txt",
            "paths.tokens": self.folder / "tokens",
            "vocabulary.min_count": 1,
            "bilm.lstm.dim": 12,
            "bilm.lstm.projection_dim": 6,
            "bilm.char_cnn.filters": "[[1, 4], [2, 8]]",
            "training.batch_size": batch_size,
            "training.n_steps": 5,
            "training.n_samples": 16,
            "training.dropout": 0.1,
            "training.max_steps": self.steps,
            "training.eval_frequency": 5,
            "training.checkpoint_minutes": 0.00001,
            "training.n_checkpoints": 100,
            "training.optimizer.learn_rate.warmup_steps": 5,
            "training.optimizer.learn_rate.initial_rate": 0.02,
        }
        found = ["pretrain", CONFIG, "--output", self.folder / name]
        for key, value in overrides.items():
            found += [f"--{key}", value]
        return [str(argument) for argument in (*found, *more)]

    def start(self, name, *more):
        return torchrun("-m", "spacy", "elmo", *self.arguments(name, *more))

    def run(self, name, *more):
        """RETURNS: What was printed."""
        process = self.start(name, *more)
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output
        return output

    def log(self, name):
        lines = (self.folder / name / "log.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def weights(self, name):
        return load_file(self.folder / name / "model-last" / "model.safetensors")

    def checkpoints(self, name):
        return sorted((self.folder / name / "checkpoints").glob("step-*"))


@pytest.fixture(scope="module")
def pretraining(tmp_path_factory):
    """The command, and what it has printed in a run from begin to end."""
    command = Pretraining(tmp_path_factory.mktemp("pretraining"))
    command.output = command.run("whole")
    return command


def children(pid):
    """The processes that a process has started (Linux)."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


TIMES = ("seconds", "tokens_per_second", "seconds_left")


def curve(log):
    return [{key: value for key, value in line.items() if key not in TIMES} for line in log]


def test_one_process_writes_and_prints(pretraining):
    log = pretraining.log("whole")
    assert [line["step"] for line in log] == list(range(5, 61, 5))
    assert log[-1]["words"] == 60 * 5 * 4 * 2
    assert pretraining.output.count("Trained") == 1
    assert log[-1]["perplexity"] < 0.9 * log[0]["perplexity"]


def test_every_process_has_its_state_in_a_checkpoint(pretraining):
    names = {path.name for path in pretraining.checkpoints("whole")[-1].iterdir()}
    assert {f"rank-{i}.{form}" for i in (0, 1) for form in ("json", "safetensors")} <= names


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc to find processes")
def test_when_one_is_killed_all_end_and_the_run_is_resumed(pretraining):
    process = pretraining.start("killed")
    deadline = time.monotonic() + 120
    while len(pretraining.checkpoints("killed")) < 10:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    workers = children(process.pid)
    assert len(workers) == 2
    os.kill(workers[-1], signal.SIGKILL)
    output, _ = process.communicate(timeout=120)
    assert process.returncode != 0
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers), output
    reached = int(pretraining.checkpoints("killed")[-1].name.removeprefix("step-"))
    assert reached < Pretraining.steps
    output = pretraining.run("killed", "--resume")
    assert "Going on from" in output
    assert curve(pretraining.log("killed")) == curve(pretraining.log("whole"))
    whole, resumed = (pretraining.weights(name) for name in ("whole", "killed"))
    for name, value in whole.items():
        np.testing.assert_array_equal(resumed[name], value)


def test_resuming_with_another_number_of_processes_is_an_error(pretraining):
    alone = pretraining.arguments("whole", "--resume", batch_size=8)
    result = CliRunner().invoke(elmo_cli, alone)
    assert result.exit_code == 1
    assert "2 for processes, but this run has 1" in " ".join(result.output.split())


def test_text_that_is_not_there_is_an_error_of_all(pretraining):
    """Without a traceback of those that wait for the one that tokenizes."""
    process = pretraining.start("nowhere", "--paths.train", "nowhere.txt")
    output, _ = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "nowhere.txt" in output and "Can't pretrain" in output
    assert "[rank1]" not in output


# Weights become huge before step 21, and the first process takes longer to write what is left than
# the second one needs to end. The reader's texts can't be told from others: it leaves a mark each
# time it reads them.
EXPLODE = """
import os, time, torch
from spacy.util import registry
from spacy_elmo.pretraining.results import Results
from spacy_elmo.pretraining.learning.trainer import Trainer
step, write_last = Trainer.step, Results.write_last
def exploding(self):
    if self.progress.steps == 20:
        with torch.no_grad():
            self.model.softmax.weight.fill_(torch.finfo(torch.float32).max / 2)
    step(self)
def slow(self, *arguments):
    time.sleep(3)
    write_last(self, *arguments)
Trainer.step, Results.write_last = exploding, slow
@registry.readers("counting.v1")
def configure(path: str):
    def read(nlp):
        open(f"{path}.{os.getpid()}.read", "x").close()
        yield from open(path, encoding="utf-8")
    return read
"""


@pytest.fixture(scope="module")
def diverged(pretraining):
    """What a run prints whose loss becomes infinite."""
    code = pretraining.folder / "explode.py"
    code.write_text(EXPLODE)
    reader = ["--corpus.train.@readers", "counting.v1", "--paths.tokens", code.parent / "other"]
    process = pretraining.start("diverged", "--code", code, *reader)
    output, _ = process.communicate(timeout=120)
    assert process.returncode != 0
    return output


def test_one_process_tokenizes_for_all(pretraining, diverged):
    assert len(list(pretraining.folder.glob("train.txt.*.read"))) == 1


def test_diverged_run_leaves_the_last_checkpoint(pretraining, diverged):
    """All processes end without a checkpoint of the steps that have no loss, and none ends the
    first one, which writes and tells."""
    assert diverged.count("10 steps in a row, up to step 30") == 1, diverged
    last = pretraining.checkpoints("diverged")[-1]
    assert last.name == "step-000000020"
    expected = load_file(last / "model.safetensors")
    for name, value in pretraining.weights("diverged").items():
        np.testing.assert_array_equal(value, expected[name])
    card = (pretraining.folder / "diverged/model-last/README.md").read_text(encoding="utf-8")
    assert "Steps | 20 of 60" in card
