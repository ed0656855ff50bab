"""Write a config that differs from another in one thing: spaCy's own tok2vec in place of ELMo."""

from pathlib import Path

import typer
from spacy.util import load_config
from wasabi import msg


def main(
    config_path: Path = typer.Argument(..., exists=True, help="Config with 'elmo' and 'ner'"),
    output: Path = typer.Argument(..., help="Config without 'elmo'"),
) -> None:
    """Drop the component 'elmo', and give 'ner' spaCy's tok2vec, as wide and deep as before."""
    config = load_config(config_path)
    config["nlp"]["pipeline"].remove("elmo")
    del config["components"]["elmo"]
    model = config["components"]["ner"]["model"]
    encode = model["tok2vec"]["encode"]
    model["tok2vec"] = {
        "@architectures": "spacy.HashEmbedCNN.v2",
        "pretrained_vectors": None,
        "embed_size": 2000,
        "subword_features": True,
        **{key: encode[key] for key in ("width", "depth", "window_size", "maxout_pieces")},
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    config.to_disk(output)
    msg.good(f"{output}: {config_path.name} without ELMo")


if __name__ == "__main__":
    typer.run(main)
