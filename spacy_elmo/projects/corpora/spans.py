"""Entities by their characters."""

from collections.abc import Iterable

from spacy.tokens import Doc


def set_entities(doc: Doc, entities: Iterable[tuple[int, int, str]], where: str) -> None:
    """Set a Doc's entities.

    entities: Of each its first character, the one after its last, and its label.
    where: File and line, for the error.
    RAISES ValueError: One isn't made of whole tokens, or two overlap.
    """
    spans = []
    for start, end, label in entities:
        span = doc.char_span(start, end, label=label)
        if span is None or span.text != span.text.strip():
            tokens = doc.char_span(start, end, alignment_mode="expand")
            found = ", ".join(repr(token.text) for token in tokens or doc[:0]) or "none"
            raise ValueError(
                f"{where}: {doc.text[start:end]!r} ({label}) isn't made of whole words; the tokens "
                f"there are {found}."
            )
        spans.append(span)
    try:
        doc.set_ents(spans)
    except ValueError as error:
        raise ValueError(f"{where}: entities overlap: {error}") from error
