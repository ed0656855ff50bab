"""simple_elmo's training (TensorFlow); arguments: a folder with options.json, vocabulary.txt and
text.txt (a sentence a line, its words separated by spaces), and the threads.

Runs simple_elmo's own loop, which is that of simple_elmo_training. A request is a number of
batches; the seconds are those of making them and training on them. The text is encoded before.
"""

import json
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

# Before TensorFlow is imported. The training opens its session itself, without a number of threads.
os.environ.update(
    TF_CPP_MIN_LOG_LEVEL="3",
    TF_NUM_INTRAOP_THREADS=sys.argv[2],
    TF_NUM_INTEROP_THREADS=sys.argv[2],
)

import tensorflow as tf
from serve import requests
from simple_elmo.data import BidirectionalLMDataset
from simple_elmo.training import load_vocab, train


class RequestedBatches:
    """Batches for ``train``, as many as are requested. It asks for the next batch when it has
    trained on the one before.

    data: Gives them.
    """

    def __init__(self, data: BidirectionalLMDataset) -> None:
        self._data = data

    def iter_batches(self, batch_size: int, n_steps: int) -> Iterator[dict[str, Any]]:
        """Called by ``train``."""
        batches = self._data.iter_batches(batch_size, n_steps)
        for n_batches in requests():
            yield from islice(batches, n_batches)


def main(folder: Path) -> None:
    """Load, then train as requests ask for it."""
    logging.disable(logging.INFO)
    warnings.simplefilter("ignore")  # TensorFlow's, about deprecated parts of its own
    tf.compat.v1.disable_v2_behavior()  # it is written for TensorFlow 1
    options = json.loads((folder / "options.json").read_text(encoding="utf8"))
    max_characters = options["char_cnn"]["max_characters_per_token"]
    vocabulary = load_vocab(str(folder / "vocabulary.txt"), max_characters)
    options["n_tokens_vocab"] = vocabulary.size
    data = BidirectionalLMDataset(str(folder / "text.txt"), vocabulary, shuffle_on_load=True)
    output = folder / "simple_elmo"
    output.mkdir()
    train(options, RequestedBatches(data), 1, str(output), str(output))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
