"""Checkpoints of a run: all that it takes to go on as if it had not ended. They appear whole or
not at all."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from .processes import Processes

_PREFIX, _TEMPORARY = "step-", ".tmp"
_PROGRESS = "progress.json"
_OPTIMIZER = "optimizer.safetensors"


class Checkpoints:
    """The folder of a run's checkpoints. A checkpoint is a folder with a native biLM, which can be
    loaded like any other, the optimizer's tensors, and each process's state.

    folder: Where they are.
    n_kept: How many of the last ones are kept.
    processes: Those of the run. All of them see the folder.
    """

    def __init__(self, folder: Path, n_kept: int, processes: Processes) -> None:
        self.folder, self.n_kept, self.processes = folder, n_kept, processes

    def last(self) -> Optional[Path]:
        """The folder of the last checkpoint, if there is one."""
        return max(self._all(), key=_step, default=None)

    def save(
        self,
        step: int,
        write_model: Callable[[Path], None],
        optimizer: dict[str, Tensor],
        progress: dict[str, Any],
        state: dict[str, Any],
        tensors: dict[str, Tensor],
    ) -> Path:
        """Write a checkpoint, and remove the oldest ones. Every process calls this.

        step: Steps so far.
        write_model: Writes the biLM into a folder.
        optimizer: What the optimizer remembers.
        progress: What all processes share, as JSON.
        state, tensors: This process's own, as JSON and as tensors.
        RETURNS: Its folder.
        RAISES OSError: The disk is full, or something else is wrong with it. The checkpoints
            before are untouched.
        """
        final = self.folder / f"{_PREFIX}{step:09}"
        temporary = final.with_name(f".{final.name}{_TEMPORARY}")
        rank = self.processes.rank
        if self.processes.is_first:
            for leftover in self.folder.glob(f".{_PREFIX}*{_TEMPORARY}"):  # of a killed run
                shutil.rmtree(leftover)
            temporary.mkdir(parents=True)
        self.processes.wait()
        try:
            _write_json(temporary / f"rank-{rank}.json", state)
            save_file(tensors, temporary / f"rank-{rank}.safetensors")
            if self.processes.is_first:
                write_model(temporary)
                save_file(optimizer, temporary / _OPTIMIZER)
                _write_json(temporary / _PROGRESS, progress)
                _flush(temporary)
            self.processes.wait()
            if self.processes.is_first:
                if final.exists():
                    shutil.rmtree(final)
                os.replace(temporary, final)
                _flush_folder(self.folder)
                for old in sorted(self._all(), key=_step)[: -self.n_kept]:
                    shutil.rmtree(old)
        except BaseException:
            if self.processes.is_first:
                shutil.rmtree(temporary, ignore_errors=True)
            raise
        return final

    def _all(self) -> list[Path]:
        return [path for path in self.folder.glob(f"{_PREFIX}*") if path.is_dir()]


def read_progress(checkpoint: Path) -> dict[str, Any]:
    """What all processes shared.

    RAISES ValueError: It is damaged.
    """
    return _read_json(checkpoint / _PROGRESS)


def read_optimizer(checkpoint: Path) -> dict[str, Tensor]:
    """What the optimizer remembered.

    RAISES ValueError: It is damaged.
    """
    return _read_tensors(checkpoint / _OPTIMIZER)


def read_state(checkpoint: Path, rank: int) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """A process's own state.

    RAISES ValueError: It is damaged.
    """
    path = checkpoint / f"rank-{rank}"
    return _read_json(path.with_suffix(".json")), _read_tensors(path.with_suffix(".safetensors"))


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix(_PREFIX))


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from error


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> ValueError:
    return ValueError(
        f"{path}: not a file of a checkpoint: {error}. Remove the folder {path.parent} to go on "
        "from the checkpoint before it."
    )


def _flush(folder: Path) -> None:
    """A machine that goes down after the rename must not leave empty files behind it."""
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    _flush_folder(folder)


def _flush_folder(folder: Path) -> None:
    if hasattr(os, "O_DIRECTORY"):  # not on Windows
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
