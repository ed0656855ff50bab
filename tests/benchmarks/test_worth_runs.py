"""Running, resuming and failing, with programs that take no time."""

import json
import sys
from collections import Counter
from pathlib import Path

import pytest
import spacy
from spacy.tokens import Doc, DocBin


class Program:
    """A system that notes each training in a file; fails while ``broken`` exists beside it."""

    kind = "stock"
    tasks = ("textcat",)

    def __init__(self, name, folder):
        self.name, self.folder = name, folder

    def train(self, job):
        script = (
            "import os, sys; from pathlib import Path; log, broken, model = sys.argv[1:];"
            "open(log, 'a').write('x');"
            "os.path.exists(broken) and sys.exit('broken on purpose');"
            "Path(model).mkdir()"
        )
        log = self.folder / f"{self.name}.log"
        paths = (log, self.folder / f"{self.name}.broken", job.folder / "model-best")
        return [sys.executable, "-c", script, *map(str, paths)]

    def score(self, job):
        return self._write(job.scores, {"cats_micro_f": 0.5})

    def time(self, job, figures, n_words):
        assert (job.folder / "model-best").exists()
        return self._write(figures, {"words_per_second": n_words})

    def _write(self, path, content):
        script = "import sys; open(sys.argv[1], 'w').write(sys.argv[2])"
        return [sys.executable, "-c", script, str(path), json.dumps(content)]

    def n_trained(self):
        path = self.folder / f"{self.name}.log"
        return len(path.read_text()) if path.exists() else 0


@pytest.fixture
def parts(tmp_path):
    path = tmp_path / "train.spacy"
    vocab = spacy.blank("en").vocab
    DocBin(docs=[Doc(vocab, words=["a"]) for _ in range(10)]).to_disk(path)
    return {"TREC": {"train": path, "dev": path, "test": path}}


@pytest.mark.slow
def test_only_what_is_missing_is_run(tmp_path, parts):
    from worth.runs import Run, Workplace
    from worth.sets import SETS

    good, bad = Program("good", tmp_path), Program("bad", tmp_path)
    (tmp_path / "bad.broken").touch()
    runs = [Run(SETS["TREC"], system, 0.5, seed) for system in (good, bad) for seed in (0, 1)]
    timed = [run for run in runs if run.seed == 0]

    def work(max_steps=0):
        workplace = Workplace(tmp_path / "out", parts, max_steps)
        workplace.train(runs, jobs=2, keep=timed)
        workplace.time(timed, rounds=2, n_words=7)
        return workplace

    workplace = work()
    assert len(workplace.failures) == 2 and all("bad" in f for f in workplace.failures)
    log = Path(workplace.failures[0].rpartition("see ")[2])
    assert "broken on purpose" in log.read_text()
    assert (good.n_trained(), bad.n_trained()) == (2, 2)
    done = json.loads(workplace.scores_path(runs[0]).read_text())
    assert done["scores"] == {"cats_micro_f": 0.5} and done["seconds"] >= 0
    assert json.loads(workplace.speed_path(runs[0], 1).read_text()) == {"words_per_second": 7}
    # Only what is timed is kept, and nothing half done.
    left = Counter(path.name for path in (tmp_path / "out" / "runs" / "TREC" / "good").rglob("*"))
    assert left["model-best"] == 1 and left["scores.json"] == 2
    assert not any(name.startswith(("attempt", "scores.tmp")) for name in left)

    # What a killed command leaves is no result.
    half = workplace.scores_path(runs[1])
    half.unlink()
    (half.parent / "attempt-x").mkdir()
    (tmp_path / "bad.broken").unlink()
    assert work().failures == []
    assert (good.n_trained(), bad.n_trained()) == (3, 4)
    assert all(work().result(run) is not None for run in runs)
    assert (good.n_trained(), bad.n_trained()) == (3, 4)
    # Scores of shorter training aren't taken for those of longer one.
    assert all(work(max_steps=5).result(run) is not None for run in runs)
    assert (good.n_trained(), bad.n_trained()) == (5, 6)
