"""Whether requests are meant for the service, by how likely the likeliest intent is."""

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Tuple

import numpy as np
import spacy
from sklearn.metrics import roc_auc_score
from spacy.cli.find_threshold import find_threshold
from spacy.language import Language
from spacy.training import Corpus

PIPE = "textcat"
SCORER = "spacy.textcat_multilabel_scorer.v2"


@dataclass(frozen=True)
class Scopes:
    """threshold: From which probability on a request is taken as meant.
    meant: (n,) the probability of the likeliest intent, of requests that have an intent.
    right: (n,) whether it is theirs.
    others: (n_others,) the same probability, of requests that have none."""

    threshold: float
    meant: np.ndarray
    right: np.ndarray
    others: np.ndarray

    def scores(self) -> Dict[str, float]:
        """In percent."""
        accepted = self.meant >= self.threshold
        refused = self.others < self.threshold
        n_refused = refused.sum() + (~accepted).sum()
        truly = np.concatenate([np.ones(len(self.others)), np.zeros(len(self.meant))])
        auc = roc_auc_score(truly, -np.concatenate([self.others, self.meant]))
        shares = {
            "intent right, nothing refused": self.right.mean(),
            "accepted, intent right": (accepted & self.right).mean(),
            "others refused": refused.mean(),
            "refused are others": refused.sum() / n_refused if n_refused else 0.0,
            "area under ROC": auc,
        }
        return {name: 100 * float(share) for name, share in shares.items()}


def with_threshold(model: Path, output: Path, dev: Path, n_trials: int) -> float:
    """Save a pipeline that gives a request no intent unless one is likely enough. From when on is
    what 'spacy find-threshold' finds on development data.

    model: A pipeline with 'textcat', whose probabilities add up to 1 and which has no threshold.
    output: The same with 'textcat_multilabel' around the same model, which has one.
    dev: A .spacy file with requests that have an intent and others.
    n_trials: So many thresholds from 0 to 1 are tried.
    RETURNS: The threshold.
    """
    settings = {"factory": "textcat_multilabel", "scorer": {"@scorers": SCORER}}
    nlp = spacy.load(model, config={"components": {PIPE: settings}})
    output.parent.mkdir(parents=True, exist_ok=True)
    nlp.to_disk(output)
    threshold, _, _ = find_threshold(
        str(output), dev, PIPE, "threshold", "cats_micro_f", n_trials=n_trials
    )
    nlp.config["components"][PIPE]["threshold"] = float(threshold)
    nlp.get_pipe(PIPE).cfg["threshold"] = float(threshold)
    nlp.to_disk(output)
    return float(threshold)


def likeliest(cats: Dict[str, float]) -> Tuple[str, float]:
    """An intent and its probability."""
    return max(cats.items(), key=lambda item: item[1])


def read_scopes(nlp: Language, test: Path, threshold: float) -> Scopes:
    """Classify what 'nlp' hasn't seen.

    test: A .spacy file with requests that have an intent and others.
    RAISES ValueError: There is only one of the two.
    """
    examples = list(Corpus(test)(nlp))
    meant: List[float] = []
    right: List[bool] = []
    others: List[float] = []
    for example, doc in zip(examples, nlp.pipe(e.predicted for e in examples), strict=True):
        intent, probability = likeliest(doc.cats)
        true = example.reference.cats
        if any(true.values()):
            meant.append(probability)
            right.append(true[intent] > 0.5)
        else:
            others.append(probability)
    if not meant or not others:
        raise ValueError(f"{test}: {len(meant)} requests have an intent, {len(others)} have none.")
    return Scopes(threshold, np.array(meant), np.array(right), np.array(others))
