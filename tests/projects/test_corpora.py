"""Annotated texts from files. tests/benchmarks/test_worth_readers.py reads more of each format."""

import json

import pytest
import spacy

from spacy_elmo.projects.corpora.binary import read_docs, write_docs
from spacy_elmo.projects.corpora.columns import Columns, read_columns
from spacy_elmo.projects.corpora.inline import read_inline
from spacy_elmo.projects.corpora.json_lines import read_json_lines
from spacy_elmo.projects.corpora.labels import complete_labels, count_labels
from spacy_elmo.projects.corpora.split import draw
from spacy_elmo.projects.corpora.tables import Table, read_table

NLP = spacy.blank("en")


@pytest.fixture
def read(tmp_path):
    def read(reader, text, *arguments):
        path = tmp_path / "file"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return [doc for docs in reader(path, NLP, *arguments) for doc in docs]

    return read


def entities(doc):
    return [(entity.text, entity.label_) for entity in doc.ents]


def test_inline(read):
    [first, second] = read(read_inline, "[Ann Lee](PERSON) left [Oslo](LOC).\n\nNobody did.\n")
    assert first.text == "Ann Lee left Oslo."
    assert entities(first) == [("Ann Lee", "PERSON"), ("Oslo", "LOC")]
    assert entities(second) == []


@pytest.mark.parametrize(
    ("reader", "text", "error"),
    [
        (read_inline, "Fine.\n[Oslo](LOC.\n", "line 2: square brackets"),
        (read_inline, "[Os](LOC)lo\n", "line 1: 'Os' .* isn't made of whole words"),
        (read_inline, b"Fine.\n\xff\n", "line 2: not utf-8"),
        (read_columns, "Oslo\tB-LOC\n\nOslo\n", "line 3: there is one column"),
        (read_columns, "Oslo\tx\tO\nOslo\tO\n", "line 2: there are 2 columns, and 3"),
        (read_columns, "Oslo\tLOC\n", "line 1: the last column is 'LOC', which is no tag"),
        (read_columns, "\tO\n", "line 1: a column is empty"),
        (read_json_lines, '{"text": "a"}\n{"text"\n', "line 2: not JSON"),
        (read_json_lines, '{"spans": []}\n', 'line 1: not an object with a "text"'),
        (read_json_lines, '{"text": "a", "spans": [{"start": 0}]}\n', "line 1: tokens, spans"),
        (
            read_json_lines,
            json.dumps({"text": "ab", "spans": [{"start": 0, "end": 1, "label": "X"}]}),
            "line 1: 'a' .* isn't made of whole words; the tokens there are 'ab'",
        ),
    ],
)
def test_errors_name_the_line(read, reader, text, error):
    with pytest.raises(ValueError, match=error):
        read(reader, text)


def test_columns_that_are_not_the_first_and_last(read):
    text = "# a source\n1\t东京\tB-LOC\t-\n2\t#\tO\t-\t\n3\t大\tO\t-\n"
    columns = Columns(word=1, tag=2, comment="# ", has_spaces=False)
    [doc] = read(read_columns, text, "sentence", columns)
    assert doc.text == "东京#大"
    assert entities(doc) == [("东京", "LOC")]
    for wrong, error in (
        ("1\tOslo\n", "line 1: there are 2 columns; its tag should be in column 3"),
        ("1\tOslo\tLOC\t-\n", "line 1: column 3 is 'LOC', which is no tag"),
        ("1\t \tO\t-\n", "line 1: a column is empty"),
    ):
        with pytest.raises(ValueError, match=error):
            read(read_columns, wrong, "sentence", columns)


def test_overlapping_entities_are_an_error(read):
    spans = [{"start": 0, "end": 3, "label": "X"}, {"start": 2, "end": 5, "label": "Y"}]
    with pytest.raises(ValueError, match="line 1: entities overlap"):
        read(read_json_lines, json.dumps({"text": "a b c", "spans": spans}))


def test_tables(read):
    names = Table("\t", "1", "2", {"0": "bad", "1": "good"}, is_tokenized=True)
    docs = read(read_table, "it 's \"ok\t1\nno\t0\n\n", names)
    assert [(len(doc), doc.cats) for doc in docs] == [(3, {"good": 1.0}), (1, {"bad": 1.0})]
    docs = read(read_table, 'label,text\nlate,"Where, please?"\n', Table())
    assert [(doc.text, doc.cats) for doc in docs] == [("Where, please?", {"late": 1.0})]


@pytest.mark.parametrize(
    ("text", "table", "error"),
    [
        ("a,b\n", Table(), "line 1: there is no column 'text' among a, b"),
        ("text,label\nx,y\nz\n", Table(), "line 3: there are 1 columns, not 2"),
        ("text,label\nx,\n", Table(), "line 2: '' is no label"),
        ("x\t2\n", Table("\t", "1", "2", {"0": "a"}), "line 1: '2' is no label; labels are 0"),
        ("x\ty\n", Table("\t", "1", "label"), "the names of both, or the numbers"),
        ('text,label\n"x,y\n', Table(), "line 2: unexpected end"),
    ],
)
def test_tables_that_are_wrong(read, text, table, error):
    with pytest.raises(ValueError, match=error):
        read(read_table, text, table)


def test_every_text_has_all_labels(read):
    train = read(read_table, "a,x\nb,y\n", Table(",", "1", "2"))
    dev = read(read_table, "c,x\n", Table(",", "1", "2"))
    complete_labels({"train": train, "dev": dev})
    assert dev[0].cats == {"x": 1.0, "y": 0.0}
    assert count_labels(train) == {"x": 1, "y": 1}
    only_x = read(read_table, "c,x\n", Table(",", "1", "2"))
    with pytest.raises(ValueError, match=r"no training text has the label 'y'"):
        complete_labels({"train": only_x, "dev": read(read_table, "b,y\n", Table(",", "1", "2"))})


def test_a_share_is_drawn_by_its_seed_and_survives_a_file(read, tmp_path):
    docs = read(read_inline, "".join(f"w{i} [Oslo](LOC)\n" for i in range(20)))
    drawn = draw(docs, 0.3, seed=1)
    assert len(drawn) == 6 and drawn == draw(docs, 0.3, seed=1) != draw(docs, 0.3, seed=2)
    write_docs(drawn, tmp_path / "new" / "x.spacy")
    again = read_docs(tmp_path / "new" / "x.spacy", NLP.vocab)
    assert [doc.text for doc in again] == [doc.text for doc in drawn]
    with pytest.raises(ValueError, match="none"):
        draw(docs, 0.01, seed=1)
    (tmp_path / "bad.spacy").write_bytes(b"no")
    with pytest.raises(ValueError, match=r"bad.spacy: not a .spacy file"):
        read_docs(tmp_path / "bad.spacy", NLP.vocab)
