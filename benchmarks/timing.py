"""How everything here is timed: kinds of run take turns, so that all see the same state of the
machine, and medians are reported."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PEERS = Path(__file__).parent / "peers"
sys.path.append(str(PEERS))
from serve import BATCH, MARK  # noqa: E402

PAUSE = 0.3  # seconds between runs: threads of the one before may still be spinning

__all__ = ["BATCH", "Figures", "Peer", "median_ratio", "seconds_of", "take_turns"]

Figures = dict[str, float]  # what one run measured


def take_turns(
    runs: dict[str, Callable[[], Figures]], repeats: int
) -> dict[str, dict[str, list[float]]]:
    """Run each kind once, then each a second time, and so on.

    runs: By name; each measures itself.
    RETURNS: For each name, each figure's values.
    """
    results: dict[str, dict[str, list[float]]] = {name: {} for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            time.sleep(PAUSE)
            for figure, value in run().items():
                results[name].setdefault(figure, []).append(value)
    return results


def seconds_of(run: Callable[[], object]) -> float:
    """The seconds that a call takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def median_ratio(values: list[float], others: list[float]) -> float:
    """How many times as large ``values`` are: the median over the rounds."""
    return round(statistics.median(a / b for a, b in zip(values, others, strict=True)), 3)


class Peer:
    """A program of the folder ``peers`` in a Python of its own, which has loaded and waits.

    script: Its file name without ``.py``.
    python: The Python.
    threads: Threads it may use.
    arguments: What else it is called with.
    """

    def __init__(self, script: str, python: Path, threads: int, *arguments: Any) -> None:
        command = [python, PEERS / f"{script}.py", *arguments, threads]
        env = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        env.pop("PYTHONPATH", None)  # of this Python
        self._process = subprocess.Popen(
            [str(part) for part in command],
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=env,
        )
        self._await_answer()

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def seconds(self, request: Path) -> float:
        """The seconds it takes for the content of a JSON file, without reading the file."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{request}\n")
        self._process.stdin.flush()
        return self._await_answer()

    def _await_answer(self) -> float:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(MARK):
                return float(line.removeprefix(MARK))
        raise RuntimeError(f"{self._process.args} ended without an answer; see its messages above.")
