import math

import numpy as np
import pytest
import spacy

from spacy_elmo import BiLM
from spacy_elmo.explore import open_subject


def test_a_biLM(source, subject):
    assert subject.n_layers == 3
    assert subject.mixes == []
    assert subject.sentences("He sat.  Money!") == [["He", "sat", "."], ["Money", "!"]]
    assert subject.sentences("  ") == []
    words = [["He", "sat"]]
    np.testing.assert_array_equal(subject.bilm.embed(words)[0], BiLM.load(source).embed(words)[0])


@pytest.mark.slow
def test_another_language(source):
    assert open_subject(source, "fr").sentences("L'eau.") == [["L'", "eau", "."]]


def test_a_pipeline(source, pipeline):
    subject = open_subject(pipeline)
    words = [["He", "sat"]]
    np.testing.assert_array_equal(subject.bilm.embed(words)[0], BiLM.load(source).embed(words)[0])
    mixes = {mix.name: mix for mix in subject.mixes}
    assert list(mixes) == ["elmo", "a", "b"]  # c puts the layers side by side
    assert mixes["elmo"].shares.tolist() == pytest.approx([1 / 3] * 3)
    total = 1 + math.e + 1 / math.e
    assert mixes["a"].shares.tolist() == pytest.approx(
        [1 / total, math.e / total, 1 / math.e / total]
    )
    assert mixes["a"].gamma == pytest.approx(1.5)
    assert mixes["b"].shares.tolist() == [0, 0.5, 2]
    assert mixes["b"].gamma == 1


def test_the_pipelines_own_sentences(source, tmp_path):
    nlp = spacy.blank("en")
    spans = {"@span_getters": "spacy-elmo.whole_doc.v1"}
    nlp.add_pipe("elmo", config={"model": {"source": source, "get_spans": spans}})
    nlp.to_disk(tmp_path / "whole")
    assert open_subject(str(tmp_path / "whole")).sentences("A. B.") == [["A.", "B."]]


def test_sentences_that_another_component_would_set(source, tmp_path):
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    spans = {"@span_getters": "spacy-elmo.sentences.v1", "use_doc_sents": True}
    nlp.add_pipe("elmo", config={"model": {"source": source, "get_spans": spans}})
    nlp.to_disk(tmp_path / "sents")
    assert open_subject(str(tmp_path / "sents")).sentences("He. She.") == [
        ["He", "."],
        ["She", "."],
    ]


def test_a_pipeline_without_elmo(tmp_path):
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    nlp.to_disk(tmp_path / "other")
    with pytest.raises(ValueError, match="sentencizer has no 'elmo'"):
        open_subject(str(tmp_path / "other"))


def test_no_such_source():
    with pytest.raises(ValueError, match="Can't find the biLM 'no/such'"):
        open_subject("no/such")
