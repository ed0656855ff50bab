"""Scores of trained pipelines, a JSON file for each."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Mapping

from ..formats.files import replacing

# What reports call scores, which are shown in percent.
SCORE_TITLES = {
    "ents_f": "entities, F",
    "ents_p": "entities, precision",
    "ents_r": "entities, recall",
    "cats_micro_f": "texts, accuracy",
    "cats_macro_f": "texts, mean F of labels",
    "tag_acc": "tags, accuracy",
    "dep_las": "trees, labelled attachment",
    "dep_uas": "trees, attachment",
    "spans_sc_f": "spans, F",
}


@dataclass(frozen=True)
class Run:
    """A trained pipeline's scores.

    system: What was trained.
    n_texts: How many texts it has learned from.
    share: Those are of all training texts, 1 for all.
    seed: Of the training, and of which texts were drawn.
    scores: What spaCy measures, those that are numbers (fractions of 1).
    fingerprint: What the run was made of, "" if it isn't known.
    """

    system: str
    n_texts: int
    share: float
    seed: int
    scores: Mapping[str, float]
    fingerprint: str = ""

    @property
    def name(self) -> str:
        """Unique among runs: what its files are called."""
        return f"{self.system}-{100 * self.share:g}-{self.seed}"

    def write(self, folder: Path) -> None:
        """Write it to a file of its name."""
        with replacing(folder / f"{self.name}.json") as temporary:
            temporary.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")


def read_run(path: Path) -> Run:
    """RAISES ValueError: The file isn't there or isn't one of scores."""
    try:
        return Run(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(f"{path}: not scores of a run: {error}") from error


def read_runs(folder: Path, score: str) -> list[Run]:
    """All runs of a folder: the smallest share first, stock's before the others'.

    score: They all have it.
    RAISES ValueError: There are none, or one hasn't been given this score.
    """
    runs = [read_run(path) for path in sorted(folder.glob("*.json"))]
    if not runs:
        raise ValueError(f"{folder}: there are no scores in it. Train or evaluate first.")
    for run in runs:
        if score not in run.scores:
            known = ", ".join(run.scores)
            raise ValueError(f"{folder}: the run {run.name} has no score {score!r}, but {known}.")
    first = {"stock": 0, "elmo": 1, "both": 2}
    return sorted(runs, key=lambda r: (r.share, first.get(r.system, 3), r.system, r.seed))


def numbers(scores: Mapping[str, Any]) -> dict[str, float]:
    """The scores that are one number."""
    return {name: float(x) for name, x in scores.items() if isinstance(x, (int, float))}
