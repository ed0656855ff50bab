"""``python -m spacy_elmo.projects evaluate``"""

from pathlib import Path

import spacy
import typer
from spacy.training import Corpus
from wasabi import msg

from .runs import Run, numbers


def evaluate(
    model: Path = typer.Argument(..., exists=True, help="A trained pipeline"),
    test: Path = typer.Argument(..., exists=True, help="A .spacy file that it hasn't seen"),
    metrics: Path = typer.Argument(..., help="Folder of all scores"),
    system: str = typer.Option(..., "--system", help="What it is called beside others"),
    seed: int = typer.Option(0, "--seed", help="It was trained with"),
    n_texts: int = typer.Option(0, "--texts", help="It was trained on so many texts"),
    share: float = typer.Option(1.0, "--share", help="They are of all training texts"),
) -> None:
    """Score a trained pipeline; 'compare' puts all scores of a folder side by side."""
    run = Run(system, n_texts, share, seed, score_pipeline(model, test))
    run.write(metrics)
    msg.good(f"{metrics / run.name}.json")


def score_pipeline(model: Path, test: Path) -> dict[str, float]:
    """RETURNS: All scores that are numbers."""
    nlp = spacy.load(model)
    return numbers(nlp.evaluate(list(Corpus(test)(nlp))))
