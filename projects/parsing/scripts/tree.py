"""Parse a sentence with several pipelines, and print what each makes of it."""

from pathlib import Path
from typing import List

import spacy
import typer
from wasabi import msg


def main(
    sentence: str = typer.Argument(..., help="A sentence"),
    models: List[Path] = typer.Argument(..., exists=True, help="Trained pipelines"),
) -> None:
    """Print a table for each pipeline."""
    for path in models:
        doc = spacy.load(path)(sentence)
        rows = [(t.text, t.lemma_, t.pos_, t.tag_, t.dep_, t.head.text) for t in doc]
        msg.divider(path.parent.name)
        header = ("Word", "Lemma", "Part of speech", "Tag", "Relation", "Head")
        msg.table(rows, header=header, divider=True)


if __name__ == "__main__":
    typer.run(main)
