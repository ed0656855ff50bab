"""projects/qa_retrieval: what is read, how it is divided, BM25, the index, the re-ranker."""

import json
import math

import numpy as np
import pytest
import spacy

pytest.importorskip("sklearn")
from project_scripts import scripts_of

with scripts_of("qa_retrieval"):
    from collection import Question, read_collection
    from index import build_index, read_index
    from lexical import K1, B, bm25_matrix, count_questions, count_words
    from measures import ranks_of, summarize
    from prepare import divide
    from reranker import Lists, learn, read_reranker, write_reranker
    from sources import Pair, read_pairs
    from vectors import load_pipeline


PAGE = """<?xml version="1.0" encoding="UTF-8"?>
<Document id="1" source="X"><Focus>Gout</Focus><QAPairs>
<QAPair pid="1"><Question qtype="causes">What causes
 Gout ?</Question><Answer>Crystals &amp; pain.</Answer></QAPair>
<QAPair pid="2"><Question>Left out ?</Question><Answer></Answer></QAPair>
</QAPairs></Document>"""


def test_pages_and_lines_are_read(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.xml").write_text(PAGE)
    row = {"focus": "flu", "questions": ["One?", "Two?"], "answer": "Fever."}
    (tmp_path / "b.jsonl").write_text(json.dumps(row) + "\n")
    assert list(read_pairs(tmp_path)) == [
        Pair("What causes Gout ?", "Crystals & pain.", "Gout"),
        Pair("One?", "Fever.", "flu"),
        Pair("Two?", "Fever.", "flu"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        ("x.xml", "<Document>", "x.xml: not XML"),
        ("x.jsonl", '{"question": "a", "answer": "b"}', "line 1: no object with question"),
        ("x.txt", "a", "there are no files"),
    ],
)
def test_what_cannot_be_read_is_named(name, text, error, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=error):
        list(read_pairs(tmp_path))


def test_parts_share_neither_subjects_nor_answers_nor_questions(tmp_path):
    pairs = [Pair(f"q{i}?", f"a{i // 2}", f"s{i // 4}") for i in range(200)]
    pairs += [Pair("same?", "a0", "s0"), Pair("same?", "b", "other"), Pair("x?", "b", "third")]
    collection = divide(pairs, 0.2, 0.2)
    collection.write(tmp_path)
    assert read_collection(tmp_path) == collection
    parts = {q.text: q.part for q in collection.questions}
    assert len({parts[q] for q in ("same?", "x?", "q0?", "q3?")}) == 1
    of_answers = {}
    for question in collection.questions:
        for answer in question.answers:
            assert of_answers.setdefault(answer, question.part) == question.part
    assert all(parts[f"q{i}?"] == parts[f"q{i - i % 4}?"] for i in range(200))
    assert {"train", "dev", "test"} == set(parts.values())
    with pytest.raises(ValueError, match="1 subjects are too few"):
        divide(pairs[:2], 0.2, 0.2)


def test_bm25_is_its_formula():
    texts = [["the", "cat", "sat", "on", "the", "mat"], ["a", "cat"], ["dogs", "bark"]]
    words = count_words(texts)
    question = ["cat", "the", "the", "unknown"]
    found = (count_questions([question], words) @ bm25_matrix(texts, words).T).toarray()[0]
    mean = sum(map(len, texts)) / 3
    for text, score in zip(texts, found, strict=True):
        expected = 0.0
        for word in ["cat", "the", "the"]:
            df = sum(word in other for other in texts)
            idf = math.log(1 + (3 - df + 0.5) / (df + 0.5))
            tf = text.count(word)
            expected += idf * tf * (K1 + 1) / (tf + K1 * (1 - B + B * len(text) / mean))
        assert score == pytest.approx(expected, rel=1e-5)


def test_ranks_are_those_of_the_first_right_answer():
    questions = [Question("", "test", [1]), Question("", "test", [0, 2]), Question("", "test", [0])]
    scores = np.array([[3.0, 2, 1], [1, 2, 3], [0, 0, 0]])
    ranks = ranks_of(scores, questions)
    assert ranks.tolist() == [2, 1, 3]
    assert summarize(ranks) == pytest.approx((100 / 3, 100, 100 * (1 / 2 + 1 + 1 / 3) / 3))


def test_an_index_survives_its_file(tmp_path):
    answers = ["The pool opens at six.", "…", "Dogs pay at the pool."]
    built = build_index(answers, "en_small", load_pipeline("en_small"))
    built.write(tmp_path / "new" / "index.npz")
    read = read_index(tmp_path / "new" / "index.npz")
    assert read.answers == answers and read.fingerprint == built.fingerprint
    np.testing.assert_array_equal(read.score([["dogs"]]), built.score([["dogs"]]))
    np.testing.assert_allclose(read.vectors, built.vectors, atol=1e-3)
    doc = spacy.blank("en")(answers[0])
    layers = load_pipeline("en_small")(doc)._.elmo.layers[:, :5]  # without the full stop
    mean = layers.mean(axis=1)
    mean /= np.linalg.norm(mean, axis=1, keepdims=True)
    np.testing.assert_allclose(built.vectors[:, 0, 0], mean, atol=1e-5)
    assert not built.vectors[:, :, 1].any()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["index.npz"]
    (tmp_path / "bad.npz").write_bytes(b"no")
    with pytest.raises(ValueError, match=r"bad.npz: no index by build.py"):
        read_index(tmp_path / "bad.npz")


def test_a_reranker_learns_which_answers_go_with_which_questions(tmp_path):
    """Four kinds of questions; the right answer is the one of the same kind."""
    random = np.random.default_rng(0)
    answers = random.normal(size=(4, 8)).astype("float32")
    kinds = random.integers(4, size=200)
    questions = random.normal(size=(4, 8)).astype("float32")[kinds]
    candidates = np.tile(np.arange(4), (200, 1))
    lists = Lists(questions, candidates, np.ones((200, 4), "float32"), candidates == kinds[:, None])
    models = learn(lists, answers, seed=0)
    first = next(models).rank(questions, answers[candidates], lists.scores)
    np.testing.assert_allclose(first, 0.1, rtol=1e-5)  # BM25 alone
    for model in models:
        last = model
    scores = last.rank(questions, answers[candidates], lists.scores)
    assert (scores.argmax(axis=1) == kinds).mean() > 0.95
    write_reranker(last, tmp_path / "r.npz", index="abc")
    again, about = read_reranker(tmp_path / "r.npz")
    assert about == {"index": "abc"}
    np.testing.assert_array_equal(again.rank(questions, answers[candidates], lists.scores), scores)
