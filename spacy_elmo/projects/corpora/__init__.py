"""Annotated texts from files of many formats. Readers yield documents: lists of spaCy Docs, one for
each text in them. What is wrong in a file is a ``ValueError`` that names file and line."""

from collections.abc import Iterator

from spacy.tokens import Doc

Documents = Iterator[list[Doc]]
