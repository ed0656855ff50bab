"""The biLMs that others have published, by the names that a source can have: ``published.json``.

Where the entries are from: AllenNLP's biLMs from allennlp/modules/elmo.py and
token_embedders/elmo_token_embedder.py (2.10.1), https://allennlp.org/elmo (parameters, text, words)
and https://github.com/allenai/allennlp/issues/1462 (licence); those of ELMoForManyLangs from the
README of https://github.com/HIT-SCIR/ELMoForManyLangs and http://wiki.nlpl.eu/Vectors/home, but for
the simplified Chinese one, whose own address isn't https: a copy that https://github.com/gnes-ai/gnes
names; NorELMo's from https://wiki.nlpl.eu/Vectors/norlm/norelmo and its page on NorBERT (words);
EMBEDDIA's from http://hdl.handle.net/11356/1277 (the Slovene file's address as its users give it,
the others' after its pattern); BioELMo's from https://github.com/Andy-jqa/bioelmo. What is null is
not known.
"""

from pathlib import Path
from typing import Annotated, Optional

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PublishedFile(_Entry):
    """A file of a published biLM.

    urls: Where it is, the first before its mirrors.
    size: Bytes.
    sha256: Its checksum, in hexadecimal digits. It is compared when the file is fetched.
    """

    urls: Annotated[tuple[str, ...], Field(min_length=1)]
    size: Optional[int]
    sha256: Annotated[Optional[str], Field(pattern="^[0-9a-f]{64}$")]

    @property
    def sources(self) -> tuple[str, ...]:
        """The URLs with the checksum, if there is one."""
        return tuple(f"{url}#sha256={self.sha256}" if self.sha256 else url for url in self.urls)


class Published(_Entry):
    """A published biLM.

    files: An archive, or options and weights.
    lang: Code of the training text's language, as spaCy's where spaCy has it.
    language: The language's name.
    text: The training text.
    n_words: Words of the training text.
    n_parameters: Of the biLM, without softmax.
    licence: As far as its authors say.
    citation: Whom to cite.
    warning: What to know before using it: that it has read little text, or expects another input
        than words.
    """

    files: Annotated[tuple[PublishedFile, ...], Field(min_length=1, max_length=2)]
    lang: Annotated[str, Field(pattern="^[a-z]{2,3}$")]
    language: str
    text: Optional[str]
    n_words: Optional[int]
    n_parameters: Optional[int]
    licence: Optional[str]
    citation: str
    warning: Optional[str] = None

    @property
    def words(self) -> Optional[str]:
        """How many words the training text has, to be read: "20 million"."""
        return None if self.n_words is None else _millions(self.n_words)

    @property
    def description(self) -> str:
        """What it was trained on, in a line."""
        parts = [
            self.language,
            self.n_parameters and f"{_millions(self.n_parameters)} parameters",
            self.text,
            self.words and f"{self.words} words",
        ]
        return ", ".join(part for part in parts if part)


def _millions(n: int) -> str:
    return f"{n / 1e6:,.1f} million".replace(".0 ", " ")


PUBLISHED = TypeAdapter(dict[str, Published]).validate_json(
    Path(__file__).with_name("published.json").read_bytes()
)
