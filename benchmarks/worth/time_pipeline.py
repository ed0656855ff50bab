"""Words a second of ``nlp.pipe`` with a trained pipeline, tokenizing included, after it has warmed
up on another text, in a process of its own.

    python time_pipeline.py PIPELINE WARM_UP.spacy TEXT.spacy FIGURES.json N_WORDS
"""

import json
import sys
import time
from pathlib import Path

import spacy
from spacy.language import Language
from spacy.tokens import DocBin

WARM_UP = 500  # words


def main(pipeline: str, warm_up: str, text: str, output: str, n_words: str) -> None:
    """Write the figure, ``words_per_second``."""
    nlp = spacy.load(pipeline)
    run(nlp, *first_texts(nlp, warm_up, WARM_UP))
    figure = run(nlp, *first_texts(nlp, text, int(n_words)))
    Path(output).write_text(json.dumps({"words_per_second": figure}))


def first_texts(nlp: Language, path: str, n_words: int) -> tuple[list[str], int]:
    """RETURNS: As many texts of a file as have so many words, or all; how many words they have."""
    texts, n = [], 0
    for doc in DocBin().from_disk(path).get_docs(nlp.vocab):
        if n < n_words:
            texts.append(doc.text)
            n += len(doc)
    return texts, n


def run(nlp: Language, texts: list[str], n_words: int) -> float:
    """RETURNS: Words a second."""
    start = time.perf_counter()
    for _ in nlp.pipe(texts):
        pass
    return n_words / (time.perf_counter() - start)


if __name__ == "__main__":
    main(*sys.argv[1:])
