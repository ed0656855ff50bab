"""Weights of spaCy's stock tok2vec by its own ``spacy pretrain``."""

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from spacy.util import load_config

from worth.changes import for_pretraining
from worth.static_vectors import read_docs
from worth.systems import CONFIGS

MAX_LENGTH = 500  # tokens: longer texts would be left out, so they are cut


def pretrain(texts: Sequence[str], output: Path, minutes: float) -> Path:
    """Train with one objective of ``spacy pretrain``, characters (its default), for so long.

    texts: Files, directories or patterns, as ``spacy elmo pretrain`` reads them.
    output: Where config, log and weights go.
    minutes: Until training is interrupted, which makes it save its weights.
    RETURNS: The weights, for every shipped config's stock tok2vec: all have one shape.
    RAISES RuntimeError: Training has ended with an error.
    """
    output.mkdir(parents=True, exist_ok=True)
    config, weights = output / "config.cfg", output / "model-last.bin"
    weights.unlink(missing_ok=True)
    for_pretraining(load_config(CONFIGS / "ner.cfg")).to_disk(config)
    with tempfile.TemporaryDirectory() as temporary:
        corpus = Path(temporary) / "corpus.jsonl"
        with corpus.open("w", encoding="utf8") as file:
            for doc in read_docs(texts):
                for start in range(0, len(doc), MAX_LENGTH):
                    file.write(json.dumps({"text": doc[start : start + MAX_LENGTH].text}) + "\n")
        command = [sys.executable, "-m", "spacy", "pretrain", str(config), str(output)]
        command += ["--paths.raw_text", str(corpus)]
        process = subprocess.Popen(command)
        try:
            code = process.wait(60 * minutes)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            process.wait()
            code = 0
    if code or not weights.exists():
        raise RuntimeError(f"{' '.join(command)} has failed; see above.")
    return weights
