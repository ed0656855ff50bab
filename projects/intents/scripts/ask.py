"""Ask the assembled pipeline: what a request is about, and what is named in it."""

from pathlib import Path
from typing import List, Optional

import spacy
import typer
from scopes import PIPE, likeliest
from spacy.tokens import Doc
from wasabi import msg

REQUESTS = [
    "Two tickets to Oban for Saturday morning, please.",
    "My suitcase is still on the 17:05 to Falmouth!",
    "Please move booking KX3318 to next Friday.",
    "Who helps my grandmother at Thirsk on Sunday?",
    "What is the best way to boil an egg?",
]


def main(
    model: Path = typer.Argument(..., exists=True, help="The pipeline, of assemble.py"),
    requests: Optional[List[str]] = typer.Argument(None, help="Requests; some are there"),
    output: Optional[Path] = typer.Option(None, help="A file for the table, Markdown"),
) -> None:
    """Print a table."""
    nlp = spacy.load(model)
    threshold = nlp.get_pipe(PIPE).cfg["threshold"]
    rows = [
        (doc.text, intent_of(doc, threshold), entities_of(doc))
        for doc in nlp.pipe(requests or REQUESTS)
    ]
    header = ("request", "intent", "entities")
    msg.table(rows, header=header, divider=True, max_col=70)
    if output is not None:
        lines = [header, ("---",) * 3, *rows]
        output.parent.mkdir(parents=True, exist_ok=True)
        text = "".join(f"| {' | '.join(line)} |\n" for line in lines)
        output.write_text(text, encoding="utf-8")


def intent_of(doc: Doc, threshold: float) -> str:
    """The likeliest intent, with how likely it is."""
    intent, probability = likeliest(doc.cats)
    text = f"{intent} ({100 * probability:.0f} %)"
    return text if probability >= threshold else f"none; rather {text}"


def entities_of(doc: Doc) -> str:
    """Each with its label."""
    return ", ".join(f"{entity.text} ({entity.label_})" for entity in doc.ents) or "none"


if __name__ == "__main__":
    typer.run(main)
