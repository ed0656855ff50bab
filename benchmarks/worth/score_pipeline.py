"""Test scores of a trained pipeline, as ``spacy evaluate`` has them and without its selection, in a
process of their own.

    python score_pipeline.py PIPELINE TEST.spacy SCORES.json
"""

import json
import sys
from pathlib import Path

import spacy
from spacy.training import Corpus


def main(pipeline: str, test: str, output: str) -> None:
    """Write all scores that are numbers."""
    nlp = spacy.load(pipeline)
    scores = nlp.evaluate(list(Corpus(test)(nlp)))
    numbers = {name: value for name, value in scores.items() if isinstance(value, (int, float))}
    Path(output).write_text(json.dumps(numbers))


if __name__ == "__main__":
    main(*sys.argv[1:])
