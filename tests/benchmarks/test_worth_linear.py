"""Linear classifiers, on texts whose words tell the label."""

import json

import numpy as np
import pytest
import spacy
from spacy.tokens import Doc, DocBin
from spacy.vectors import Vectors

pytest.importorskip("sklearn")


@pytest.fixture
def folder(tmp_path):
    """With train, dev and test.spacy, and a pipeline with static vectors."""
    nlp = spacy.blank("en")
    for part, n in (("train", 40), ("dev", 10), ("test", 10)):
        docs = [Doc(nlp.vocab, words=["so", ("good", "bad")[i % 2], f"w{i}"]) for i in range(n)]
        for doc in docs:
            is_good = doc[1].text == "good"
            doc.cats = {"yes": float(is_good), "no": float(not is_good)}
        DocBin(docs=docs, store_user_data=True).to_disk(tmp_path / f"{part}.spacy")
    table = np.array([[0.1, 0.1], [1, 0], [0, 1]], dtype="float32")
    nlp.vocab.vectors = Vectors(strings=nlp.vocab.strings, data=table, keys=["so", "good", "bad"])
    nlp.to_disk(tmp_path / "vectors")
    return tmp_path


@pytest.mark.parametrize("features", ["tfidf", "vectors"])
def test_linear(features, folder):
    from worth.linear import main

    parts = [folder / f"{part}.spacy" for part in ("train", "dev", "test")]
    features = str(folder / features) if features == "vectors" else features
    main(features, *parts, folder / "scores.json", n_words=9)
    scores = json.loads((folder / "scores.json").read_text())
    assert scores["cats_micro_f"] == scores["cats_macro_f"] == 1
    assert scores["words_per_second"] > 0
