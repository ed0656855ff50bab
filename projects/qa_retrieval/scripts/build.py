"""Build an index of answers."""

from pathlib import Path

import typer
from collection import read_collection
from index import build_index
from vectors import load_pipeline
from wasabi import msg


def main(
    collection: Path = typer.Argument(..., exists=True, help="Folder by prepare.py"),
    output: Path = typer.Argument(..., help="The index, .npz"),
    source: str = typer.Option("en_small", help="The biLM: a name, a path or a URL"),
) -> None:
    """Count the words of all answers, and compute their vectors."""
    try:
        answers = read_collection(collection).answers
        index = build_index(answers, source, load_pipeline(source))
    except ValueError as error:
        msg.fail("Can't build", str(error), exits=1)
    index.write(output)
    n_words, size = len(index.words.places), output.stat().st_size / 1e6
    msg.good(f"{output}: {len(answers):,} answers, {n_words:,} words, {size:.1f} MB")


if __name__ == "__main__":
    typer.run(main)
