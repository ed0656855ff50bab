"""Files of public data sets, read as documents: lists of spaCy Docs, one for each text in them.

Labels of texts are in ``doc.cats``, only the one that is true.
"""

import csv
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import spacy
from spacy.tokens import Doc
from spacy.training.converters import conll_ner_to_docs, conllu_to_docs
from spacy.util import get_words_and_spaces

Documents = Iterator[list[Doc]]
Reader = Callable[[Path], Documents]

NLP = spacy.blank("en")


def read_sentences(path: Path) -> Documents:
    """CoNLL columns, the last one tags of entities (IOB or IOB2); each sentence stands alone."""
    for doc in _convert_sentences(_blocks(path)):
        yield [doc]


def read_marked_documents(path: Path) -> Documents:
    """CoNLL columns, with documents that begin at lines ``-DOCSTART- …``."""
    return _group_sentences(path, lambda block: block.startswith("-DOCSTART-"))


def read_offset_documents(path: Path) -> Documents:
    """CoNLL columns, the second one a token's place in its document, which begins at 0."""
    return _group_sentences(path, lambda block: block.split()[1] == "0")


def read_trees(path: Path) -> Documents:
    """CoNLL-U; each sentence stands alone."""
    for doc in conllu_to_docs(path.read_text(encoding="utf8"), n_sents=1, no_print=True):
        yield [doc]


def read_entities(path: Path) -> Documents:
    """JSON lines of Prodigy: texts with tokens and spans, of which those that were accepted count.

    RAISES ValueError: A span isn't one of whole tokens.
    """
    for row in _json_lines(path):
        if row["answer"] != "accept":
            continue
        words = [token["text"] for token in row["tokens"]]
        words, spaces = get_words_and_spaces(words, row["text"])
        doc = Doc(NLP.vocab, words=words, spaces=spaces)
        spans = [
            doc.char_span(span["start"], span["end"], span["label"])
            for span in row.get("spans", ())
        ]
        if None in spans:
            raise ValueError(f"{path}: not all spans are of whole tokens in {row['text']!r}")
        doc.set_ents(spans)
        yield [doc]


def read_answers(path: Path) -> Documents:
    """JSON lines of Prodigy: texts with a label that was accepted or rejected."""
    for row in _json_lines(path):
        label = {"accept": row["label"], "reject": f"NOT {row['label']}"}.get(row["answer"])
        if label and row["text"].strip():
            yield [_labelled(NLP.make_doc(row["text"]), label)]


def read_questions(path: Path) -> Documents:
    """TREC: ``COARSE:fine question`` in Latin-1, tokenized by spaces; coarse types are labels."""
    for line in path.read_text(encoding="latin1").splitlines():
        kind, *words = line.split()
        yield [_labelled(Doc(NLP.vocab, words=words), kind.partition(":")[0])]


def read_reviews(path: Path) -> Documents:
    """SST-2: a text, tokenized by spaces, a tab, and 0 or 1."""
    labels = {"0": "negative", "1": "positive"}
    for line in path.read_text(encoding="utf8").splitlines():
        text, _, label = line.rpartition("\t")
        if text.split():
            yield [_labelled(Doc(NLP.vocab, words=text.split()), labels[label])]


def read_intents(path: Path) -> Documents:
    """CSV with the columns ``text`` and ``category``."""
    with path.open(encoding="utf8", newline="") as file:
        for row in csv.DictReader(file):
            yield [_labelled(NLP.make_doc(row["text"].strip()), row["category"])]


def _blocks(path: Path) -> list[str]:
    """What stands between blank lines, which may hold tabs."""
    return re.split(r"\n\s*\n", path.read_text(encoding="utf8").strip())


def _group_sentences(path: Path, begins: Callable[[str], bool]) -> Documents:
    document: list[str] = []
    for block in [*_blocks(path), None]:
        if (block is None or begins(block)) and document:
            yield list(_convert_sentences(document))
            document = []
        if block is not None and not block.startswith("-DOCSTART-"):
            document.append(block)


def _convert_sentences(blocks: list[str]) -> Iterator[Doc]:
    return conll_ner_to_docs("\n\n".join(blocks), n_sents=1, no_print=True)


def _json_lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf8") as file:
        for line in file:
            yield json.loads(line)


def _labelled(doc: Doc, label: str) -> Doc:
    doc.cats = {label: 1.0}
    return doc
