"""Makes a small pipeline to serve: entities by rules, vectors by ELMo."""

from pathlib import Path

import spacy
import typer

PATTERNS = [
    {"label": "PLACE", "pattern": "bank"},
    {"label": "MONEY", "pattern": [{"LIKE_NUM": True}, {"LOWER": {"IN": ["euros", "dollars"]}}]},
]


def main(output: Path) -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("elmo")
    nlp.add_pipe("entity_ruler").add_patterns(PATTERNS)
    nlp.meta["name"] = "sample"
    nlp.to_disk(output)


if __name__ == "__main__":
    typer.run(main)
