"""Write a config that differs from another in one thing: spaCy's own tok2vec in place of ELMo."""

from pathlib import Path

import typer
from spacy.util import load_config
from wasabi import msg


def main(
    config_path: Path = typer.Argument(..., exists=True, help="Config with 'elmo' and 'ner'"),
    output: Path = typer.Argument(..., help="Config without 'elmo'"),
    width: int = typer.Option(96, help="Width of spaCy's tok2vec"),
) -> None:
    """Drop the component 'elmo', and give 'ner' spaCy's tok2vec with its usual settings."""
    config = load_config(config_path)
    config["nlp"]["pipeline"].remove("elmo")
    del config["components"]["elmo"]
    config["components"]["ner"]["model"]["tok2vec"] = {
        "@architectures": "spacy.HashEmbedCNN.v2",
        "pretrained_vectors": None,
        "width": width,
        "depth": 4,
        "embed_size": 2000,
        "window_size": 1,
        "maxout_pieces": 3,
        "subword_features": True,
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    config.to_disk(output)
    msg.good(f"{output}: {config_path.name} without ELMo")


if __name__ == "__main__":
    typer.run(main)
