import pytest
from hypothesis import given
from hypothesis import strategies as st
from spacy.lang.en import English
from spacy.tokens import Doc
from spacy.vocab import Vocab

from spacy_elmo.spans import (
    configure_sentences,
    configure_whole_doc,
    configure_windows,
    cut_sentences,
)

VOCAB = Vocab()


def doc_of(n_tokens, word="a"):
    return Doc(VOCAB, words=[word] * n_tokens)


def test_sentences_are_those_of_spacys_rule_and_leave_the_doc_untouched():
    nlp = English()
    text = "He sat. Did she? \n\n Yes! No"
    nlp.add_pipe("sentencizer")
    expected = [(sent.start, sent.end) for sent in nlp(text).sents]
    doc = nlp.make_doc(text)
    [spans] = configure_sentences()([doc])
    assert [(span.start, span.end) for span in spans] == expected
    assert not doc.has_annotation("SENT_START")


def test_a_docs_own_sentences_are_used_if_asked_for():
    doc = Doc(VOCAB, words=["a", "b", ".", "c"], sent_starts=[True, True, False, False])
    [own] = configure_sentences(use_doc_sents=True)([doc])
    assert [(span.start, span.end) for span in own] == [(0, 1), (1, 4)]
    [ruled] = configure_sentences()([doc])
    assert [(span.start, span.end) for span in ruled] == [(0, 3), (3, 4)]


@pytest.mark.parametrize(
    "get_spans",
    [
        configure_sentences(),
        configure_sentences(use_doc_sents=True),
        configure_windows(),
        configure_whole_doc(),
    ],
)
def test_empty_docs_have_no_spans(get_spans):
    filled = Doc(VOCAB, words=["a"], sent_starts=[True])
    assert [len(spans) for spans in get_spans([doc_of(0), filled, doc_of(0)])] == [0, 1, 0]
    assert [len(spans) for spans in get_spans([doc_of(0)])] == [0]


def test_whole_doc_is_never_cut():
    [[span]] = configure_whole_doc()([doc_of(1000, ".")])
    assert (span.start, span.end) == (0, 1000)


@given(
    n_tokens=st.integers(1, 300),
    context=st.integers(0, 20),
    room=st.integers(1, 40),
    sents=st.booleans(),
)
def test_windows_keep_every_token_once_with_its_context(n_tokens, context, room, sents):
    max_length = 2 * context + room
    configure = configure_sentences if sents else configure_windows
    doc = doc_of(n_tokens)
    [spans] = configure(max_length=max_length, context=context)([doc])
    sentences = cut_sentences(spans)
    assert [token for s in sentences for token in s.tokens] == list(range(n_tokens))
    for span, sentence in zip(spans, sentences, strict=True):
        assert len(span) <= max_length
        for row, token in zip(sentence.rows, sentence.tokens, strict=True):
            assert span.start + row == token
            assert token - span.start >= min(context, token)
            assert span.end - 1 - token >= min(context, n_tokens - 1 - token)


def test_whitespace_is_not_fed():
    doc = Doc(VOCAB, words=["\n", "a", " ", "b", "\t"])
    [sentence] = cut_sentences([doc[:]])
    assert sentence.words == ["a", "b"]
    assert sentence.tokens.tolist() == [1, 3]
    assert sentence.rows.tolist() == [0, 1]


def test_tokens_outside_of_the_spans_are_left_out():
    doc = doc_of(6)
    tokens = [s.tokens.tolist() for s in cut_sentences([doc[1:2], doc[4:6]])]
    assert tokens == [[1], [4, 5]]


def test_overlapping_spans_of_other_getters_are_shared_in_the_middle():
    doc = doc_of(10)
    tokens = [s.tokens.tolist() for s in cut_sentences([doc[0:6], doc[4:10]])]
    assert tokens == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]


def test_spans_out_of_order_are_an_error():
    doc = doc_of(10)
    with pytest.raises(ValueError, match="ordered"):
        cut_sentences([doc[5:10], doc[0:5]])


@pytest.mark.parametrize("configure", [configure_sentences, configure_windows])
@pytest.mark.parametrize(("max_length", "context"), [(64, 32), (10, -1), (0, 0)])
def test_windows_without_room_are_an_error(configure, max_length, context):
    with pytest.raises(ValueError, match="no room"):
        configure(max_length=max_length, context=context)
