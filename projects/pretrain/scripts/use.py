"""Install a wheel of a pipeline into a folder of its own, and find entities with it there."""

import subprocess
import sys
from pathlib import Path
from typing import List

import spacy
import typer
from wasabi import msg


def main(
    packages: Path = typer.Argument(..., exists=True, file_okay=False, help="Has one wheel in it"),
    site: Path = typer.Argument(..., help="The folder to install into"),
    texts: List[str] = typer.Argument(..., help="Texts to read"),
) -> None:
    """Print the entities of texts."""
    wheels = list(packages.rglob("*.whl"))
    if len(wheels) != 1:
        msg.fail("Can't install", f"{packages} has {len(wheels)} wheels in it, not one.", exits=1)
    options = ["--quiet", "--no-deps", "--no-index", "--upgrade", "--target", str(site)]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, wheels[0]], check=True)
    sys.path.insert(0, str(site))
    nlp = spacy.load(wheels[0].name.partition("-")[0])
    msg.good(f"{nlp.meta['lang']}_{nlp.meta['name']} {nlp.meta['version']}: {nlp.pipe_names}")
    for doc in nlp.pipe(texts):
        print(doc.text)
        for entity in doc.ents:
            print(f"  {entity.label_}: {entity.text}")


if __name__ == "__main__":
    typer.run(main)
