"""AllenNLP's biLM; arguments: a folder with options.json and weights.hdf5, and the threads.

Sentences are sorted by length and run in batches of 32, its best case.
"""

import sys
from pathlib import Path

import torch
from allennlp.modules.elmo import _ElmoBiLm, batch_to_ids
from serve import BATCH, serve


def main(folder: Path, threads: int) -> None:
    """Load, then answer requests: lists of sentences."""
    torch.set_num_threads(threads)
    bilm = _ElmoBiLm(str(folder / "options.json"), str(folder / "weights.hdf5")).eval()

    def run(sentences: list[list[str]]) -> None:
        ordered = sorted(sentences, key=len)
        for i in range(0, len(ordered), BATCH):
            bilm(batch_to_ids(ordered[i : i + BATCH]))

    with torch.no_grad():
        run([["Warm", "up"]])
        serve(run)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
