"""A few texts with annotations for every component that can be trained."""

from spacy.tokens import Doc, Span

TEXTS = ["Ann Lee lives in Paris .", "They met in Rome .", "Bob is a banker .", "Is it Oslo ?"]


def annotate(nlp, text):
    """Something to learn for every component: names, with what they are called in a knowledge
    base, questions, and a parse by place."""
    words = text.split()
    is_name = [word.istitle() and i in (0, len(words) - 2) for i, word in enumerate(words)]
    doc = Doc(
        nlp.vocab,
        words=words,
        tags=["NAME" if name else "WORD" for name in is_name],
        pos=["PROPN" if name else "X" for name in is_name],
        morphs=["Number=Sing" if name else "" for name in is_name],
        lemmas=[word.lower() for word in words],
        heads=[0 for _ in words],
        deps=["ROOT", *("dep" for _ in words[1:])],
    )
    names = [i for i, name in enumerate(is_name) if name]
    doc.ents = [Span(doc, i, i + 1, "NAME", kb_id=words[i]) for i in names]
    doc.spans["sc"] = [Span(doc, i, i + 1, "NAME") for i in names]
    doc.cats = {"QUESTION": float("?" in text), "OTHER": float("?" not in text)}
    return doc
