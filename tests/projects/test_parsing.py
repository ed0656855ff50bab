"""projects/parsing: the sentences it ships, and the pictures of relations."""

from collections import Counter
from pathlib import Path

import pytest
import spacy
from project_scripts import scripts_of
from spacy.tokens import Doc
from spacy.training.converters import conllu_to_docs

from spacy_elmo.projects.corpora.labels import count_labels

with scripts_of("parsing"):
    import make_sentences
    import relations


PROJECT = Path(__file__).parents[2] / "projects" / "parsing"


@pytest.fixture(scope="module")
def parts():
    vocab = spacy.blank("en").vocab
    texts = {path.stem: path.read_text() for path in PROJECT.glob("assets/garden/*.conllu")}
    return {
        part: [Doc(vocab).from_docs([d]) for d in conllu_to_docs(text, 1, no_print=True)]
        for part, text in texts.items()
    }


def test_no_sentence_is_twice_and_all_are_trees(parts):
    assert {part: len(docs) for part, docs in parts.items()} == make_sentences.PARTS
    texts = Counter(doc.text for docs in parts.values() for doc in docs)
    assert max(texts.values()) == 1
    for doc in (doc for docs in parts.values() for doc in docs):
        assert doc.has_annotation("DEP") and doc.has_annotation("MORPH")
        for token in doc:  # no arc crosses another
            assert token.right_edge.i - token.left_edge.i + 1 == len([*token.subtree])


def test_what_is_shipped_is_what_the_grammar_makes(tmp_path):
    make_sentences.main(tmp_path)
    for path in tmp_path.iterdir():
        assert path.read_text() == (PROJECT / "assets" / "garden" / path.name).read_text()


def test_relations_count_as_labels_of_a_text():
    doc = Doc(spacy.blank("en").vocab, words=["He", "sat"], heads=[1, 1], deps=["nsubj", "ROOT"])
    assert count_labels([doc]) == {"nsubj": 1, "ROOT": 1}


@pytest.mark.parametrize(("heads", "expected"), [([0, 0], "1"), ([3, 1, 1, 1], "3 to 5")])
def test_distances(heads, expected):
    words = ["w"] * len(heads)
    doc = Doc(spacy.blank("en").vocab, words=words, heads=heads, deps=["dep"] * len(heads))
    assert relations.distance_of(doc[0]) == expected
