"""Files of public data sets, read as documents: lists of spaCy Docs, one for each text in them.

Labels of texts are in ``doc.cats``, only the one that is true.
"""

from collections.abc import Callable
from pathlib import Path

import spacy
from spacy.tokens import Doc
from spacy.training.converters import conllu_to_docs

from spacy_elmo.projects.corpora import Documents
from spacy_elmo.projects.corpora.columns import read_columns
from spacy_elmo.projects.corpora.json_lines import read_json_lines
from spacy_elmo.projects.corpora.tables import Table, read_table

Reader = Callable[[Path], Documents]

NLP = spacy.blank("en")


def read_sentences(path: Path) -> Documents:
    """CoNLL columns, the last one tags of entities (IOB or IOB2); each sentence stands alone."""
    return read_columns(path, NLP, "sentence")


def read_marked_documents(path: Path) -> Documents:
    """CoNLL columns, with documents that begin at lines ``-DOCSTART- …``."""
    return read_columns(path, NLP, "mark")


def read_offset_documents(path: Path) -> Documents:
    """CoNLL columns, the second one a token's place in its document, which begins at 0."""
    return read_columns(path, NLP, "offset")


def read_trees(path: Path) -> Documents:
    """CoNLL-U; each sentence stands alone."""
    for doc in conllu_to_docs(path.read_text(encoding="utf8"), n_sents=1, no_print=True):
        yield [doc]


def read_prodigy(path: Path) -> Documents:
    """JSON lines of Prodigy: texts with spans or a label, accepted or rejected."""
    return read_json_lines(path, NLP)


def read_questions(path: Path) -> Documents:
    """TREC: ``COARSE:fine question`` in Latin-1, tokenized by spaces; coarse types are labels."""
    for line in path.read_text(encoding="latin1").splitlines():
        kind, *words = line.split()
        doc = Doc(NLP.vocab, words=words)
        doc.cats = {kind.partition(":")[0]: 1.0}
        yield [doc]


def read_reviews(path: Path) -> Documents:
    """SST-2: a text, tokenized by spaces, a tab, and 0 or 1."""
    labels = {"0": "negative", "1": "positive"}
    return read_table(path, NLP, Table("\t", "1", "2", labels, is_tokenized=True))


def read_intents(path: Path) -> Documents:
    """CSV with the columns ``text`` and ``category``."""
    return read_table(path, NLP, Table(label="category"))
