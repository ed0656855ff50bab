from pathlib import Path

import pytest
import spacy
from spacy.tokens import Doc, DocBin
from spacy.util import load_config

CONFIG = Path(__file__).parents[2] / "configs" / "ner.cfg"


def test_seeds_draw_their_own_parts_of_the_training_data(tmp_path):
    from compare_tok2vec import draw

    vocab = spacy.blank("en").vocab
    docs = [Doc(vocab, words=[f"w{i}"]) for i in range(50)]
    for doc in docs:
        doc.cats = {"a": 1.0}
    path = tmp_path / "train.spacy"
    DocBin(docs=docs, store_user_data=True).to_disk(path)

    def drawn(seed):
        docs = list(DocBin().from_disk(draw(path, 0.1, seed, tmp_path)).get_docs(vocab))
        assert all(doc.cats == {"a": 1.0} for doc in docs)
        return [int(doc.text[1:]) for doc in docs]

    assert draw(path, 1.0, 0, tmp_path) == path
    assert len(drawn(0)) == 5 and drawn(0) == sorted(drawn(0)) == drawn(0)
    assert drawn(0) != drawn(1)
    with pytest.raises(ValueError, match="is none"):
        draw(path, 0.001, 0, tmp_path)


def test_errors_removed():
    from compare_tok2vec import summarize

    summary = summarize({"stock": [60.0, 70.0], "elmo": [70.0, 74.0]})
    assert summary["stock"]["mean"] == 65 and summary["stock"]["errors_removed"] == 0
    assert summary["elmo"]["mean"] == 72 and summary["elmo"]["errors_removed"] == 20  # 28 of 35


def test_each_source_has_a_config(tmp_path):
    from compare_tok2vec import with_sources

    config = load_config(CONFIG)
    assert list(with_sources(config, [])) == ["elmo"]
    (tmp_path / "mine").mkdir()
    configs = with_sources(config, ["en_small", str(tmp_path / "mine")])
    sources = {name: c["components"]["elmo"]["model"]["source"] for name, c in configs.items()}
    assert sources == {"en_small": "en_small", "mine": str(tmp_path / "mine")}
    assert config["components"]["elmo"]["model"]["source"] == "en_small"
    with pytest.raises(ValueError, match="different names"):
        with_sources(config, ["a/x", "b/x"])
