"""A linear classifier of texts (logistic regression), in a process of its own.

    python linear.py FEATURES TRAIN.spacy DEV.spacy TEST.spacy SCORES.json [--n-words N]

FEATURES are ``tfidf`` (of words and pairs of words), ``wordllama`` (the mean of the vectors that
come with that package), or a pipeline with static vectors, of which a text gets the mean.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

import numpy as np
import spacy
import typer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from spacy.tokens import Doc, DocBin

STRENGTHS = (0.1, 1.0, 10.0, 100.0)  # of which development data choose (inverse L2)

Encoder = Callable[[list[Doc]], Any]  # (n_texts, n_features), dense or sparse


def main(
    features: str,
    train: Path,
    dev: Path,
    test: Path,
    output: Path,
    n_words: int = typer.Option(0, help="Also words a second, of so many words of TEST"),
) -> None:
    """Train, and write accuracy and macro F."""
    parts = {path: _read(path) for path in (train, dev, test)}
    labels = {
        path: [max(doc.cats, key=doc.cats.__getitem__) for doc in docs]
        for path, docs in parts.items()
    }
    encode = make_encoder(features, parts[train])
    inputs = {path: encode(docs) for path, docs in parts.items()}
    best: Optional[LogisticRegression] = None
    best_score = -1.0
    for strength in STRENGTHS:
        model = LogisticRegression(C=strength, max_iter=2000)
        model.fit(inputs[train], labels[train])
        score = accuracy_score(labels[dev], model.predict(inputs[dev]))
        if score > best_score:
            best, best_score = model, score
    assert best is not None
    predicted = best.predict(inputs[test])
    result = {
        "cats_micro_f": accuracy_score(labels[test], predicted),
        "cats_macro_f": f1_score(labels[test], predicted, average="macro"),
    }
    if n_words:
        result["words_per_second"] = _time(best, encode, parts[test], n_words)
    output.write_text(json.dumps(result))


def make_encoder(features: str, train: list[Doc]) -> Encoder:
    """train: The training texts, from which TF-IDF takes its words."""
    if features == "tfidf":
        vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
        vectorizer.fit(doc.text for doc in train)
        return lambda docs: vectorizer.transform(doc.text for doc in docs)
    if features == "wordllama":
        return _wordllama()
    nlp = spacy.load(features)
    return lambda docs: np.array([Doc(nlp.vocab, [t.text for t in doc]).vector for doc in docs])


def _wordllama() -> Encoder:
    import wordllama

    # As its cache, the package itself: it looks for its tokenizer in a folder of another name.
    folder = Path(wordllama.__file__).parent
    model = wordllama.WordLlama.load(cache_dir=folder, disable_download=True)
    return lambda docs: model.embed([doc.text for doc in docs], norm=True)


def _read(path: Path) -> list[Doc]:
    return list(DocBin().from_disk(path).get_docs(spacy.blank("en").vocab))


def _time(model: LogisticRegression, encode: Encoder, docs: list[Doc], n_words: int) -> float:
    nlp = spacy.blank("en")
    texts, n = [], 0
    for doc in docs:
        if n < n_words:
            texts.append(doc.text)
            n += len(doc)
    start = time.perf_counter()
    model.predict(encode([nlp.make_doc(text) for text in texts]))
    return n / (time.perf_counter() - start)


if __name__ == "__main__":
    typer.run(main)
