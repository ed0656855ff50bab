"""Checkpoints appear whole or not at all, and old ones go."""

import os

import pytest
import torch

from spacy_elmo.pretraining import checkpoints
from spacy_elmo.pretraining.checkpoints import (
    Checkpoints,
    last_checkpoint,
    read_optimizer,
    read_progress,
    read_state,
)
from spacy_elmo.pretraining.learning.processes import Processes

MOMENTS = {"exp_avg.weight": torch.tensor([1.5, -2.0]), "step.weight": torch.tensor(7)}
STATE = {"random": {"state": 2**127, "text": "ä"}}
COMMON = {"model", "optimizer.safetensors", "progress.json"}
HIDDEN = {"hidden": torch.arange(6.0).reshape(2, 3)}


def write_model(folder):
    (folder / "model").write_text("weights")


@pytest.fixture
def save(tmp_path):
    kept = Checkpoints(tmp_path / "checkpoints", 2, Processes(0, 1, torch.device("cpu")))

    def call(step, write_model=write_model):
        return kept.save(step, write_model, MOMENTS, {"steps": step}, STATE, HIDDEN)

    return call


def names(tmp_path):
    return sorted(path.name for path in (tmp_path / "checkpoints").iterdir())


def test_what_is_written_is_read(save):
    checkpoint = save(1)
    assert (checkpoint / "model").read_text() == "weights"
    assert read_progress(checkpoint) == {"steps": 1}
    state, hidden = read_state(checkpoint, 0)
    assert state == STATE
    for got, expected in [(read_optimizer(checkpoint), MOMENTS), (hidden, HIDDEN)]:
        assert got.keys() == expected.keys()
        for name, tensor in expected.items():
            assert torch.equal(got[name], tensor) and got[name].dtype == tensor.dtype


def test_the_last_ones_are_kept(save, tmp_path):
    for step in (5, 10, 1_000_000_000, 1_000_000_001):  # more digits than the name has room for
        assert save(step) == last_checkpoint(tmp_path / "checkpoints")
    assert names(tmp_path) == ["step-1000000000", "step-1000000001"]


def test_no_checkpoint(tmp_path):
    assert last_checkpoint(tmp_path / "nowhere") is None


def test_what_else_is_in_the_folder(save, tmp_path):
    """Someone's copies aren't taken for checkpoints, and stay."""
    save(3)
    for name in ("step-9-good", "step-", "notes"):
        (tmp_path / "checkpoints" / name).mkdir()
    (tmp_path / "checkpoints" / "step-000000008").write_text("a file")
    assert last_checkpoint(tmp_path / "checkpoints").name == "step-000000003"
    save(4), save(5)
    assert len(names(tmp_path)) == 6


@pytest.mark.parametrize("part", ["rename", "remove"])
def test_an_old_one_that_is_open_elsewhere_goes_later(save, tmp_path, monkeypatch, part):
    """Windows refuses. Training goes on, and the next checkpoint tries again."""
    save(1), save(2)

    def refuse(*args, **options):
        raise PermissionError(13, "used by another process")

    with monkeypatch.context() as patch:
        if part == "rename":
            patch.setattr(checkpoints.Path, "rename", refuse)
        else:
            patch.setattr(checkpoints.shutil, "rmtree", refuse)
        save(3)
    assert last_checkpoint(tmp_path / "checkpoints").name == "step-000000003"
    save(4)
    assert names(tmp_path) == ["step-000000003", "step-000000004"]


def test_files_are_flushed_as_windows_wants_it(save, monkeypatch):
    """It flushes no file that is open for reading alone, and has no folders to flush."""
    fcntl = pytest.importorskip("fcntl")
    n_flushed = 0

    def fsync(descriptor):
        nonlocal n_flushed
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(9, "Bad file descriptor")
        n_flushed += 1

    monkeypatch.setattr(checkpoints.os, "fsync", fsync)
    monkeypatch.delattr(checkpoints.os, "O_DIRECTORY")
    files = list(save(1).iterdir())
    assert n_flushed >= len(files)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_failure_leaves_nothing(save, tmp_path, error):
    save(1)

    def fail(folder):
        write_model(folder)
        raise error

    with pytest.raises(type(error)):
        save(2, fail)
    assert names(tmp_path) == ["step-000000001"]


def test_what_a_killed_run_left_is_removed(save, tmp_path):
    for step in (1, 2):
        (tmp_path / f"checkpoints/.step-00000000{step}.tmp").mkdir(parents=True)
    save(2)
    assert names(tmp_path) == ["step-000000002"]


def test_kill_while_an_old_one_is_removed(save, tmp_path, monkeypatch):
    """It is no checkpoint any more before its first file goes."""
    save(1), save(2)

    def killed(path):
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints.shutil, "rmtree", lambda path, **options: killed(path))
        with pytest.raises(SystemExit):
            save(3)
    assert names(tmp_path) == [".step-000000001.tmp", "step-000000002", "step-000000003"]


@pytest.mark.parametrize("rank", [0, 1])
def test_each_process_flushes_its_files_before_it_waits_for_the_rename(tmp_path, monkeypatch, rank):
    """A machine may go down right after the first process has renamed them. Until all are there,
    those of other processes have temporary names and vanish."""
    folder = tmp_path / "checkpoints"
    temporary = folder / ".step-000000005.tmp"
    events = []

    class OneOfTwo(Processes):
        def wait(self):
            events.append("wait")
            temporary.mkdir(parents=True, exist_ok=True)
            if len(events) == 1:
                (temporary / ".tmpA").touch()
            else:
                (temporary / ".tmpA").rename(temporary / f"rank-{1 - rank}.json")

    def fsync(descriptor):
        about = os.fstat(descriptor)
        events.extend(p.name for p in temporary.iterdir() if os.path.samestat(p.stat(), about))

    monkeypatch.setattr(checkpoints, "_flush_folder", lambda path: None)
    monkeypatch.setattr(checkpoints.os, "fsync", fsync)
    kept = Checkpoints(folder, 2, OneOfTwo(rank, 2, torch.device("cpu")))
    kept.save(5, write_model, MOMENTS, {"steps": 5}, STATE, HIDDEN)
    assert events[:4] == ["wait", f"rank-{rank}.json", f"rank-{rank}.safetensors", "wait"]
    others = {"rank-0.json", "rank-0.safetensors", "rank-1.json", *COMMON} if rank == 0 else set()
    assert set(events[4:]) == others


def test_tensors_that_cannot_be_written(tmp_path):
    """safetensors has an error of its own for a full disk."""
    with pytest.raises(OSError, match=r"Can't write .*nowhere"):
        checkpoints._write_tensors(tmp_path / "nowhere" / "file", MOMENTS)
