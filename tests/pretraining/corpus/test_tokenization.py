"""Texts become the sentences that the component reads."""

import numpy as np
import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from small_texts import ENGLISH, TEXTS, WHOLE, sentences_of, tokenized
from spacy.tokens import Doc

from spacy_elmo.layers import BiLMShim
from spacy_elmo.pretraining.corpus import tokenization as module
from spacy_elmo.pretraining.corpus.tokenization import SentenceEncoder, Tokenization

ENCODER = SentenceEncoder(ENGLISH)


def test_sentences(small_chunks):
    assert tokenized(*TEXTS[:4]) == [
        ["He", "sat", "on", "the", "bank", "."],
        ["It", "was", "green", "!"],
        ["The", "river", "'s", "bank", "(", "1.5", "km", ")", "…"],
        ["Money", "?", "“"],
        ["In", "the", "bank", ",", "”", "she", "said", "."],
    ]


@pytest.fixture(scope="module")
def sentences_the_component_embeds():
    """What the biLM of a pipeline is given for a text, without sentences that are empty."""
    nlp = spacy.blank("en")
    elmo = nlp.add_pipe("elmo")
    shim = elmo.bilm.shims[0]
    n_layers, width = shim.config.n_layers, shim.config.width
    seen = []

    def embed(self, sentences, is_train):
        seen.extend(sentences)
        return [np.zeros((n_layers, len(words), width), "f") for words in sentences]

    def call(text):
        seen.clear()
        nlp(text)
        return [words for words in seen if words]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BiLMShim, "embed", embed)
        yield call


@settings(deadline=None, max_examples=300)
@given(text=st.text(st.sampled_from("ab A.!?。”'\"()1,\n\t\u2028\xa0é日😀-")))
def test_sentences_are_those_that_the_component_embeds(sentences_the_component_embeds, text):
    assert sentences_of([ENCODER.encode([text])]) == sentences_the_component_embeds(text)


def test_every_token_of_a_long_sentence_comes_once():
    """Windows overlap in what the component reads, not in what it keeps."""
    words = [f"w{i}" for i in range(1000)]
    sentences = tokenized(words)
    assert [word for sentence in sentences for word in sentence] == words
    assert len(sentences) > 1
    assert max(map(len, sentences)) <= 256


def test_texts_words_and_docs():
    nlp = spacy.blank("en")
    doc = Doc(nlp.vocab, words=["don't", " ", "go", ".", "Now"])
    assert tokenized("don't", ["don't", "go"], doc, "a b") == [
        ["do", "n't"],
        ["don't", "go"],
        ["don't", "go", "."],
        ["Now"],
        ["a", "b"],
    ]


def test_languages():
    chinese = Tokenization.of(spacy.blank("zh"))  # by characters, unless told otherwise
    assert tokenized("日本银行。", tokenization=chinese) == [list("日本银行。")]


def test_the_tokenizer_is_the_one_of_the_pipeline():
    nlp = spacy.blank("en")
    nlp.tokenizer.add_special_case("riverbank", [{"ORTH": "river"}, {"ORTH": "bank"}])
    tokenization = Tokenization.of(nlp)
    assert tokenized("A riverbank", tokenization=tokenization) == [["A", "river", "bank"]]
    assert tokenization.describe() != ENGLISH.describe()


def test_span_getters():
    text = "One. Two."
    assert tokenized(text) == [["One", "."], ["Two", "."]]
    whole = Tokenization.of(spacy.blank("en"), WHOLE)
    assert tokenized(text, tokenization=whole) == [["One", ".", "Two", "."]]


def test_texts_longer_than_a_parser_takes():
    text = "abcdefghi " * 100_001
    assert len(text) > spacy.blank("en").max_length
    assert sum(map(len, tokenized(text))) == 100_001


@pytest.mark.slow
def test_a_vocabulary_that_is_forgotten_changes_nothing(small_chunks, monkeypatch):
    before = tokenized(*TEXTS)
    monkeypatch.setattr(module, "_MAX_WORDS_KNOWN", 0)
    assert tokenized(*TEXTS) == before
