"""Put what was learned apart into one pipeline: intents and entities above the same 'elmo', which
computes its vectors once for both."""

from pathlib import Path

import spacy
import typer
from spacy.language import Language
from wasabi import msg

from spacy_elmo.component import Elmo


def main(
    intents: Path = typer.Argument(..., exists=True, help="Pipeline with 'textcat', of refuse.py"),
    entities: Path = typer.Argument(..., exists=True, help="Pipeline with 'ner'"),
    output: Path = typer.Argument(..., help="The pipeline with both"),
) -> None:
    """Write a pipeline."""
    try:
        nlp = assemble(spacy.load(intents), spacy.load(entities))
    except ValueError as error:
        msg.fail("Can't assemble", str(error), exits=1)
    output.parent.mkdir(parents=True, exist_ok=True)
    nlp.to_disk(output)
    msg.good(f"{output}: {', '.join(nlp.pipe_names)}")


def assemble(intents: Language, entities: Language) -> Language:
    """Add the 'ner' of the one to the other.

    RAISES ValueError: They don't have the same biLM.
    """
    if elmo_bytes(intents) != elmo_bytes(entities):
        raise ValueError("The biLMs of the two differ: train both with the same one, frozen.")
    intents.add_pipe("ner", source=entities)
    # The added component listens to the 'elmo' that is here.
    intents._link_components()
    return intents


def elmo_bytes(nlp: Language) -> bytes:
    """The weights of the biLM; nothing if a pipeline has none."""
    return b"".join(pipe.model.to_bytes() for _, pipe in nlp.pipeline if isinstance(pipe, Elmo))


if __name__ == "__main__":
    typer.run(main)
