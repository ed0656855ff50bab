"""How a ``Doc`` is cut into the sentences that the biLM reads.

A span getter gives the spans of each Doc in order (as in spacy-transformers). Where two spans
overlap, each token takes its vectors from the span that shows more of its context.
"""

from functools import partial
from itertools import pairwise
from typing import Callable, Iterator, List, NamedTuple, Tuple

import catalogue
import numpy as np
from spacy.pipeline import Sentencizer
from spacy.tokens import Doc, Span
from spacy.util import registry

SpanGetter = Callable[[List[Doc]], List[List[Span]]]

if not hasattr(registry, "span_getters"):  # spacy-transformers makes the same registry
    registry.span_getters = catalogue.create("spacy", "span_getters", entry_points=True)  # type: ignore[attr-defined]


class Sentence(NamedTuple):
    """What the biLM is fed for a span, and which of the results are kept.

    words: The tokens' texts, without whitespace.
    rows: (n_kept,) positions in ``words`` whose vectors are kept.
    tokens: (n_kept,) the Doc's tokens that these vectors belong to.
    """

    words: List[str]
    rows: np.ndarray
    tokens: np.ndarray


def get_sentences(docs: List[Doc], get_spans: SpanGetter) -> List[List[Sentence]]:
    """The sentences of each Doc.

    docs: The Docs.
    get_spans: Cuts them.
    RAISES ValueError: The span getter's answer doesn't fit the Docs.
    """
    by_doc = get_spans(docs)
    if len(by_doc) != len(docs) or any(
        span.doc is not doc for doc, spans in zip(docs, by_doc, strict=True) for span in spans
    ):
        raise ValueError(
            f"The span getter {get_spans} must give a list of spans for each Doc, in the order of "
            f"the Docs. It gave {len(by_doc)} lists for {len(docs)} Docs."
        )
    return [cut_sentences(spans) for spans in by_doc]


def cut_sentences(spans: List[Span]) -> List[Sentence]:
    """The sentences of one Doc. Every token is kept at most once; whitespace and tokens outside
    of the spans never.

    spans: The Doc's spans, ordered by start and end.
    RAISES ValueError: The spans are not in order.
    """
    bounds = [(span.start, span.end) for span in spans]
    sentences = []
    for span, (start, end) in zip(spans, _kept(bounds), strict=True):
        words = [(token.i, token.text) for token in span if not token.text.isspace()]
        tokens = np.array([i for i, _ in words], dtype="int64")
        rows = np.flatnonzero((tokens >= start) & (tokens < end))
        sentences.append(Sentence([text for _, text in words], rows, tokens[rows]))
    return sentences


def _kept(bounds: List[Tuple[int, int]]) -> Iterator[Tuple[int, int]]:
    """The part of each span whose vectors are kept: overlaps are halved."""
    middles = []
    for (start, end), (next_start, next_end) in pairwise(bounds):
        if next_start < start or next_end < end:
            raise ValueError(
                f"A span getter gave the span {next_start}:{next_end} after {start}:{end}: spans "
                "of a Doc must be ordered by start and by end."
            )
        middles.append((next_start + end + 1) // 2 if next_start < end else None)
    if not bounds:
        return
    for (start, end), before, after in zip(bounds, [None, *middles], [*middles, None], strict=True):
        yield start if before is None else before, end if after is None else after


def configure_sentences(
    use_doc_sents: bool = False, max_length: int = 256, context: int = 32
) -> SpanGetter:
    """One sentence after the other.

    use_doc_sents (bool): Take the Doc's own sentences. During training they are there only if
        the component that sets them is among the annotating_components, and not while a
        Tok2VecElmo is initialized. By default, sentences
        are always found by spaCy's rule (Sentencizer), so that training and use agree.
    max_length (int): Longer sentences are cut into windows of this many tokens.
    context (int): Tokens that a window shows at least on both sides of those it is used for.
    """
    _check_window(max_length, context)
    get_sents = _doc_sents if use_doc_sents else partial(_rule_sents, sentencizer=Sentencizer())
    return partial(_get_spans, get_sents=get_sents, max_length=max_length, context=context)


def configure_windows(max_length: int = 256, context: int = 32) -> SpanGetter:
    """Windows over the whole Doc, across its sentences.

    max_length (int): Tokens of a window.
    context (int): Tokens that a window shows at least on both sides of those it is used for.
    """
    _check_window(max_length, context)
    return partial(_get_spans, get_sents=_whole_docs, max_length=max_length, context=context)


def configure_whole_doc() -> SpanGetter:
    """The whole Doc as one sentence, however long it is."""
    return _whole_docs


def _check_window(max_length: int, context: int) -> None:
    if context < 0 or max_length <= 2 * context:
        raise ValueError(
            f"A window of max_length = {max_length} tokens has no room for context = {context} "
            "tokens on both sides. Choose max_length > 2 * context >= 0."
        )


def _get_spans(
    docs: List[Doc], get_sents: SpanGetter, max_length: int, context: int
) -> List[List[Span]]:
    return [
        [window for sent in sents for window in _windows(sent, max_length, context)]
        for sents in get_sents(docs)
    ]


def _windows(span: Span, max_length: int, context: int) -> Iterator[Span]:
    start = span.start
    while span.end - start > max_length:
        yield span.doc[start : start + max_length]
        start += max_length - 2 * context
    yield span.doc[start : span.end]


def _rule_sents(docs: List[Doc], sentencizer: Sentencizer) -> List[List[Span]]:
    spans = []
    for doc, is_start in zip(docs, sentencizer.predict(docs), strict=True):
        starts = np.flatnonzero(is_start).tolist()
        spans.append([doc[i:j] for i, j in pairwise([*starts, len(doc)])])
    return spans


def _doc_sents(docs: List[Doc]) -> List[List[Span]]:
    if not all(doc.has_annotation("SENT_START") for doc in docs):
        raise ValueError(
            "use_doc_sents = true, but a Doc has no sentence boundaries. Put the component that "
            "sets them before 'elmo', and in training among the annotating_components."
        )
    return [list(doc.sents) if len(doc) else [] for doc in docs]


def _whole_docs(docs: List[Doc]) -> List[List[Span]]:
    return [[doc[:]] if len(doc) else [] for doc in docs]
