"""An index: all that finding an answer needs, in one file."""

import json
import zipfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import List

import numpy as np
from lexical import Words, bm25_matrix, count_questions, count_words, words_of
from scipy.sparse import csr_matrix
from spacy.language import Language
from vectors import embed

from spacy_elmo.formats.files import replacing

FORMAT = 1


@dataclass(frozen=True)
class Index:
    """source: The biLM of the vectors.
    answers: Their texts.
    words: Of the answers.
    bm25: (n_answers, n_words), by 'lexical.bm25_matrix'.
    vectors: (n_layers, 2, n_answers, width), by 'vectors.embed'."""

    source: str
    answers: List[str]
    words: Words
    bm25: csr_matrix
    vectors: np.ndarray

    @property
    def fingerprint(self) -> str:
        """Tells this index from others."""
        return sha256(json.dumps([self.source, self.answers]).encode()).hexdigest()[:16]

    def score(self, questions: List[List[str]]) -> np.ndarray:
        """questions: The words of each.
        RETURNS: (n_questions, n_answers), by BM25."""
        return (count_questions(questions, self.words) @ self.bm25.T).toarray()

    def write(self, path: Path) -> None:
        """Write the file."""
        about = {"format": FORMAT, "source": self.source, "answers": self.answers}
        about["words"] = list(self.words.places)
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(
                file,
                about=np.frombuffer(json.dumps(about).encode(), "uint8"),
                idf=self.words.idf,
                data=self.bm25.data,
                indices=self.bm25.indices,
                indptr=self.bm25.indptr,
                vectors=self.vectors.astype("float16"),
            )


def build_index(answers: List[str], source: str, nlp: Language) -> Index:
    """nlp: Tokenizes and embeds, by 'vectors.load_pipeline'."""
    words = [words_of(doc) for doc in nlp.tokenizer.pipe(answers)]
    counted = count_words(words)
    vectors = embed(nlp.pipe(answers, batch_size=64), counted)
    return Index(source, answers, counted, bm25_matrix(words, counted), vectors)


def read_index(path: Path) -> Index:
    """RAISES ValueError: The file isn't there or isn't an index."""
    try:
        with np.load(path, allow_pickle=False) as file:
            about = json.loads(file["about"].tobytes())
            if about["format"] != FORMAT:
                raise ValueError(f"format {about['format']}, not {FORMAT}: build it anew")
            places = {word: i for i, word in enumerate(about["words"])}
            shape = (len(about["answers"]), len(places))
            return Index(
                about["source"],
                about["answers"],
                Words(places, file["idf"]),
                csr_matrix((file["data"], file["indices"], file["indptr"]), shape=shape),
                file["vectors"].astype("float32"),
            )
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: no index by build.py: {error}") from error
