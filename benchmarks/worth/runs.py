"""The runs of a comparison: each leaves a file in its own folder when it has succeeded, and what
has its file isn't run again.

    runs/SET/SYSTEM/SHARE-SEED/scores.json    test scores, seconds of training, its most steps
    speed/SET/SYSTEM/ROUND.json               words a second
"""

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, Optional

from wasabi import msg

from worth.parts import Paths, draw
from worth.sets import DataSet
from worth.summary import Trained
from worth.systems import Command, Job, System


class Run(NamedTuple):
    """data_set: What it is trained and scored on.
    system: What is trained.
    share: Of the training texts.
    seed: Draws the share, and starts the training."""

    data_set: DataSet
    system: System
    share: float
    seed: int

    @property
    def name(self) -> str:
        """Also the path of its folder."""
        return f"{self.data_set.name}/{self.system.name}/{self.share:g}-{self.seed}"


class Workplace:
    """Runs what is missing, some runs side by side, each with one thread.

    output: Where all files go.
    parts: The ``.spacy`` files of each data set, by its name.
    max_steps: Of a training; 0 for the config's.
    """

    def __init__(self, output: Path, parts: dict[str, Paths], max_steps: int = 0) -> None:
        self.output = output.absolute()
        self.parts = parts
        self.max_steps = max_steps
        self.failures: list[str] = []
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._stopped = False

    def scores_path(self, run: Run) -> Path:
        """Where a run's scores are."""
        return self.output / "runs" / run.name / "scores.json"

    def speed_path(self, run: Run, round_: int) -> Path:
        """Where a run's words a second are."""
        folder = self.output / "speed" / run.data_set.name / run.system.name
        return folder / f"{round_}.json"

    def result(self, run: Run) -> Optional[Trained]:
        """What a run gave; None if it hasn't succeeded, or only with other steps."""
        path = self.scores_path(run)
        result = json.loads(path.read_text()) if path.exists() else {}
        if result.get("max_steps") != self.max_steps:
            return None
        return Trained(result["scores"], result["seconds"])

    def train(self, runs: Iterable[Run], jobs: int, keep: Iterable[Run] = ()) -> None:
        """Train and score. A run that fails is noted in ``failures``, with its log.

        jobs: How many run side by side.
        keep: Runs whose trained pipeline is kept.
        """
        kept = {run.name for run in keep}
        missing = [run for run in runs if self.result(run) is None]
        for run in missing:
            self._draw(run)  # one after the other: two runs may have the same texts
        with ThreadPoolExecutor(jobs) as pool:
            try:
                list(
                    pool.map(
                        lambda run: self._try(run.name, self._train, run, run.name in kept), missing
                    )
                )
            finally:
                self._stopped = True  # of no account if all are done
                for process in list(self._processes):
                    process.kill()
        self._stopped = False

    def time(self, runs: Iterable[Run], rounds: int, n_words: int) -> None:
        """Measure words a second of runs that were trained and kept, one after the other, in turns,
        so that all see the same states of the machine."""
        runs = list(runs)
        for round_ in range(rounds):
            for run in runs:
                if self.result(run) is not None and not self.speed_path(run, round_).exists():
                    self._try(f"{run.name}, speed", self._time, run, round_, n_words)

    def _try(self, name: str, function: Any, *arguments: Any) -> None:
        try:
            if not self._stopped:
                function(*arguments)
        except Exception as error:
            if not self._stopped:
                msg.fail(name, str(error))
                self.failures.append(f"{name}: {error}")

    def _draw(self, run: Run) -> Paths:
        parts = self.parts[run.data_set.name]
        return {**parts, "train": draw(parts["train"], run.share, run.seed)}

    def _train(self, run: Run, is_kept: bool) -> None:
        folder = self.scores_path(run).parent
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        # A process that has outlived a killed command can't write into the files of this one.
        attempt = Path(tempfile.mkdtemp(prefix="attempt-", dir=folder))
        job = self._job(run, attempt)
        start = time.perf_counter()
        self._execute(run.system.train(job), folder / "log.txt")
        seconds = round(time.perf_counter() - start, 1)
        self._execute(run.system.score(job), folder / "log.txt")
        scores = json.loads(job.scores.read_text())
        if is_kept and (attempt / "model-best").exists():
            (attempt / "model-best").rename(folder / "model-best")
        shutil.rmtree(attempt)
        result = {"scores": scores, "seconds": seconds, "max_steps": self.max_steps}
        _write(result, self.scores_path(run))
        important = ", ".join(f"{key} {100 * scores[key]:.2f}" for key in run.data_set.scores)
        msg.good(f"{run.name}: {important}, {seconds:.0f} seconds")

    def _time(self, run: Run, round_: int, n_words: int) -> None:
        path = self.speed_path(run, round_)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            figures = Path(folder) / "figures.json"
            job = self._job(run, self.scores_path(run).parent)
            self._execute(run.system.time(job, figures, n_words), path.with_suffix(".log"))
            result = json.loads(figures.read_text())
        _write({"words_per_second": result["words_per_second"]}, path)

    def _job(self, run: Run, folder: Path) -> Job:
        paths = self._draw(run)
        scores = folder / "test_scores.json"
        return Job(run.data_set.task, paths, folder, scores, run.seed, self.max_steps)

    def _execute(self, command: Command, log: Path) -> None:
        if not command:
            return
        env = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        env["SPACY_ELMO_CACHE_DISK"] = "0"  # nothing from earlier runs: training times are compared
        env["HF_HUB_OFFLINE"] = "1"
        with log.open("ab") as file:
            process = subprocess.Popen(command, stdout=file, stderr=file, env=env)
            self._processes.add(process)
            code = process.wait()
            self._processes.discard(process)
        if code:
            raise RuntimeError(f"exit code {code}; see {log}")


def _write(content: object, path: Path) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(content))
    temporary.replace(path)
