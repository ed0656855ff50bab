"""Checkpoints of a run: all that it takes to go on as if it had not ended. They appear whole or
not at all."""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Optional

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from ..formats.tensors import read_tensors
from .learning import Processes

_PREFIX, _TEMPORARY = "step-", ".tmp"
_NAME = re.compile(rf"{_PREFIX}(\d+)")
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
        return last_checkpoint(self.folder)

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
        temporary = _temporary(final)
        rank = self.processes.rank
        if self.processes.is_first:
            for leftover in self.folder.glob(f".{_PREFIX}*{_TEMPORARY}"):  # of a killed run
                shutil.rmtree(leftover, ignore_errors=leftover != temporary)
            temporary.mkdir(parents=True)
        self.processes.wait()
        try:
            mine = [temporary / f"rank-{rank}.json", temporary / f"rank-{rank}.safetensors"]
            _write_json(mine[0], state)
            _write_tensors(mine[1], tensors)
            if self.processes.is_first:
                write_model(temporary)
                _write_tensors(temporary / _OPTIMIZER, optimizer)
                _write_json(temporary / _PROGRESS, progress)
            _flush(mine)  # only the machine that has written them can
            self.processes.wait()
            if self.processes.is_first:
                # Not earlier, when other processes' temporary files were there.
                _flush(temporary.iterdir())
                _flush_folder(temporary)
                os.replace(temporary, final)
                _flush_folder(self.folder)
                for old in sorted(_all(self.folder), key=_step)[: -self.n_kept]:
                    _remove(old)
        except BaseException:
            if self.processes.is_first:
                shutil.rmtree(temporary, ignore_errors=True)
            raise
        return final


def last_checkpoint(folder: Path) -> Optional[Path]:
    """The last checkpoint among those in a folder, if there is one."""
    return max(_all(folder), key=_step, default=None)


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


def _all(folder: Path) -> list[Path]:
    found = folder.glob(f"{_PREFIX}*")
    return [path for path in found if _NAME.fullmatch(path.name) and path.is_dir()]


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix(_PREFIX))


def _remove(checkpoint: Path) -> None:
    """Remove an old checkpoint; one that someone has open stays on Windows until the next one."""
    with suppress(PermissionError):
        # Renamed first: whoever is killed here leaves no half of a checkpoint.
        shutil.rmtree(checkpoint.rename(_temporary(checkpoint)))


def _temporary(checkpoint: Path) -> Path:
    return checkpoint.with_name(f".{checkpoint.name}{_TEMPORARY}")


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")


def _write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    try:
        save_file(tensors, path)
    except SafetensorError as error:  # its name for a full disk, too
        raise OSError(f"Can't write {path}: {error}") from error


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: not a file of a checkpoint: {error}.") from error


def _read_tensors(path: Path) -> dict[str, Tensor]:
    # Copies: a file that is still mapped can't be removed on Windows, and kernels round differently
    # on memory that is aligned differently.
    return {name: tensor.clone() for name, tensor in read_tensors(path).tensors.items()}


def _flush(files: Iterable[Path]) -> None:
    """A machine that goes down after the rename must not leave empty files behind it."""
    for path in files:
        with path.open("r+b") as file:  # Windows flushes only what may be written
            os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    if hasattr(os, "O_DIRECTORY"):  # not on Windows
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
