"""simple_elmo's biLM (TensorFlow); arguments: a folder with options.json and weights.hdf5, and the
threads.

Sentences are sorted by length and run in batches of 32, its best case. One TensorFlow session
serves all requests: simple_elmo would otherwise start one, and read the weights, each time.
"""

import logging
import os
import sys
import warnings

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # before TensorFlow is imported

import tensorflow as tf
from serve import BATCH, serve
from simple_elmo import ElmoModel
from simple_elmo.elmo import weight_layers


def main(folder: str, threads: int) -> None:
    """Load, then answer requests: lists of sentences."""
    logging.disable(logging.INFO)
    warnings.simplefilter("ignore")  # TensorFlow's, about deprecated parts of its own
    model = ElmoModel()
    model.load(folder, max_batch_size=BATCH)
    model.elmo_sentence_input = weight_layers(
        "input", model.sentence_embeddings_op, use_layers="all"
    )
    options = tf.compat.v1.ConfigProto(
        intra_op_parallelism_threads=threads, inter_op_parallelism_threads=threads
    )
    with tf.compat.v1.Session(config=options) as session:
        session.run(tf.compat.v1.global_variables_initializer())

        def run(sentences: list[list[str]]) -> None:
            ordered = sorted(sentences, key=len)
            for i in range(0, len(ordered), BATCH):
                # A batch a call: a call's result is padded to its longest sentence.
                model.get_elmo_vectors(
                    ordered[i : i + BATCH], warmup=False, layers="all", session=session
                )

        run([["Warm", "up"]])
        serve(run)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
