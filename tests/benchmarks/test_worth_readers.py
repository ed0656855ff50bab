"""Each data set's format, in a few lines made up here."""

import json

import pytest
import spacy
from spacy.tokens import DocBin


def read(name, tmp_path, text, encoding="utf8"):
    """RETURNS: Documents."""
    from worth.sets import SETS

    path = tmp_path / "file"
    path.write_text(text, encoding=encoding)
    return list(SETS[name].read(path))


def entities(doc):
    return [(ent.text, ent.label_) for ent in doc.ents]


def test_sentences_end_at_lines_that_hold_a_tab(tmp_path):
    text = "In\tO\nNew\tB-place\nYork\tI-place\n\t\nAnn\tB-person\nBob\tB-person\n\n"
    [[first], [second]] = read("WNUT17", tmp_path, text)
    assert entities(first) == [("New York", "place")]
    assert entities(second) == [("Ann", "person"), ("Bob", "person")]


def test_documents_begin_at_offset_0(tmp_path):
    text = "A\t0\t1\tO\nliver\t2\t7\tB-Organ\n\nIt\t8\t10\tO\n\nA\t0\t1\tO\n"
    documents = read("AnEM", tmp_path, text)
    assert [[doc.text.split() for doc in docs] for docs in documents] == [
        [["A", "liver"], ["It"]],
        [["A"]],
    ]
    assert entities(documents[0][0]) == [("liver", "Organ")]


def test_documents_begin_at_marks(tmp_path):
    mark = "-DOCSTART- -X- O O\n\n"
    text = f"{mark}Ann NNP - I-PER\nLee NNP - I-PER\n\n, , - O\n\n{mark}Oslo NNP - I-LOC\n"
    documents = read("SEC", tmp_path, text)
    assert [len(docs) for docs in documents] == [2, 1]
    assert entities(documents[0][0]) == [("Ann Lee", "PER")]
    assert entities(documents[1][0]) == [("Oslo", "LOC")]


def annotated(end, answer):
    tokens = [{"text": "A", "start": 0, "end": 1}, {"text": "pill", "start": 2, "end": 6}]
    spans = [{"start": 2, "end": end, "label": "DRUG"}]
    row = {"text": "A pill", "tokens": tokens, "spans": spans, "answer": answer}
    return f"{json.dumps(row)}\n"


def test_only_accepted_entities_count(tmp_path):
    [[doc]] = read("drugs", tmp_path, annotated(6, "accept") + annotated(6, "reject"))
    assert doc.text == "A pill" and entities(doc) == [("pill", "DRUG")]
    with pytest.raises(ValueError, match="whole words"):
        read("drugs", tmp_path, annotated(4, "accept"))


def test_rejected_labels_are_labels(tmp_path):
    row = '{"text": "%s", "label": "DOC", "answer": "%s"}\n'
    text = (
        row % ("a", "accept") + row % ("b", "reject") + row % ("c", "ignore") + row % ("", "accept")
    )
    assert [doc.cats for [doc] in read("docs_issues", tmp_path, text)] == [
        {"DOC": 1.0},
        {"NOT DOC": 1.0},
    ]


@pytest.mark.parametrize(
    ("name", "text", "encoding", "words", "label"),
    [
        ("TREC", "LOC:city Where is S\xe3o Paulo ?\n", "latin1", 5, "LOC"),
        ("SST-2", "it 's fun\t1\n", "utf8", 3, "positive"),
        ("BANKING77", 'text,category\n"Hm, why?\n",late\n', "utf8", 4, "late"),
    ],
)
def test_labelled_texts(name, text, encoding, words, label, tmp_path):
    [[doc]] = read(name, tmp_path, text, encoding)
    assert len(doc) == words and doc.cats == {label: 1.0}


def test_trees(tmp_path):
    rows = [
        "1\tHe\the\tPRON\tP\tCase=Nom\t2\tnsubj\t_\t_",
        "2\tsat\tsit\tVERB\tV\t_\t0\troot\t_\tSpaceAfter=No",
        "3\t.\t.\tPUNCT\tZ\t_\t2\tpunct\t_\t_",
    ]
    [[doc]] = read("LinES", tmp_path, "# text = He sat.\n" + "\n".join(rows) + "\n\n")
    assert doc.text.strip() == "He sat."
    assert [token.tag_ for token in doc] == ["P", "V", "Z"]
    assert [token.head.text for token in doc] == ["sat", "sat", "sat"]


def load(path):
    return list(DocBin().from_disk(path).get_docs(spacy.blank("en").vocab))


def test_held_out_documents_are_whole_and_always_the_same():
    from spacy_elmo.projects.corpora.split import hold_out

    documents = [[f"{i}.{j}" for j in range(size)] for i, size in enumerate([60, 5, 6, 5, 24])]
    kept, held = hold_out(documents)
    assert sorted(kept + held) == sorted(documents)
    assert 10 <= sum(map(len, held)) <= 20
    assert hold_out(documents) == (kept, held)
    assert hold_out([["a", "b"], ["c"]]) == ([["a", "b"]], [["c"]])


def test_parts_have_the_same_labels_and_a_share_is_that_of_the_seed(tmp_path):
    from worth.parts import convert, draw
    from worth.sets import SETS

    data_set = SETS["TREC"]
    for part, path in data_set.paths(tmp_path).items():
        path.parent.mkdir(exist_ok=True)
        n = 50 if part == "train" else 3
        path.write_text("".join(f"{'AB'[i % 2]}:x w{i} ?\n" for i in range(n)))
    paths = convert(data_set, tmp_path, tmp_path / "out")
    sizes = {part: len(load(path)) for part, path in paths.items()}
    assert sizes == {"train": 45, "dev": 5, "test": 3}
    assert all(set(doc.cats) == {"A", "B"} for path in paths.values() for doc in load(path))
    texts = {seed: [doc.text for doc in load(draw(paths["train"], 0.2, seed))] for seed in (0, 1)}
    assert len(texts[0]) == len(texts[1]) == 9 and texts[0] != texts[1]
    assert [doc.text for doc in load(draw(paths["train"], 0.2, 0))] == texts[0]
    assert draw(paths["train"], 1, 0) == paths["train"]
    with pytest.raises(ValueError, match="is none"):
        draw(paths["train"], 0.001, 0)


def test_a_label_that_is_not_trained_is_an_error(tmp_path):
    from worth.parts import convert
    from worth.sets import SETS

    data_set = SETS["SST-2"]
    for part, path in data_set.paths(tmp_path).items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"so so\t{int(part == 'test')}\n")
    with pytest.raises(ValueError, match="no training text has the label"):
        convert(data_set, tmp_path, tmp_path / "out")
