"""How a text is cut into the sentences that the component reads."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Optional

import numpy as np
import spacy
from spacy.language import Language
from spacy.tokens import Doc
from spacy.util import get_lang_class, import_file, registry

from ...spans import SpanGetter, get_sentences
from .text import Text
from .token_store import Chunk

_MAX_WORDS_KNOWN = 200_000  # by a process: 150 MB. spaCy's vocabulary never forgets a word
_SENTENCES = {"@span_getters": "spacy-elmo.sentences.v1"}  # the component's default


@dataclass(frozen=True)
class Tokenization:
    """How texts become sentences, in a form that other processes can be given.

    nlp_config: The tokenizer's part of the block [nlp]: "lang" and "tokenizer".
    tokenizer: The tokenizer's own data, if it has the method ``to_bytes``.
    get_spans: The span getter's block.
    code: A Python file that registers what the blocks name, if no package does.
    """

    nlp_config: dict[str, Any]
    tokenizer: bytes
    get_spans: dict[str, Any]
    code: Optional[Path] = None

    @classmethod
    def of(
        cls,
        nlp: Language,
        get_spans: Optional[dict[str, Any]] = None,
        code: Optional[Path] = None,
    ) -> "Tokenization":
        """nlp: A pipeline whose config says how its tokenizer is made.
        get_spans: The span getter's block; by default the component's.
        code: A Python file that this process has imported, and others have to.
        """
        config = {key: nlp.config["nlp"][key] for key in ("lang", "tokenizer")}
        tokenizer: Any = nlp.tokenizer
        # Registered ones need have nothing but __call__.
        data = tokenizer.to_bytes(exclude=["vocab"]) if hasattr(tokenizer, "to_bytes") else b""
        return cls(config, data, get_spans or _SENTENCES, code)

    def describe(self) -> dict[str, Any]:
        """What shapes the sentences, as JSON."""
        about = {
            "spacy": spacy.__version__,
            "nlp": self.nlp_config,
            "tokenizer": sha256(self.tokenizer).hexdigest(),
            "get_spans": self.get_spans,
        }
        if self.code is not None:
            about["code"] = sha256(self.code.read_bytes()).hexdigest()
        return about

    def import_code(self) -> None:
        """Make known to this process what the code registers."""
        if self.code is not None:
            import_file("python_code", self.code)

    def make_nlp(self) -> Language:
        """A pipeline with this tokenizer and no components."""
        nlp = get_lang_class(self.nlp_config["lang"]).from_config({"nlp": self.nlp_config})
        if self.tokenizer:
            tokenizer: Any = nlp.tokenizer
            tokenizer.from_bytes(self.tokenizer, exclude=["vocab"])
        return nlp

    def make_span_getter(self) -> SpanGetter:
        """RAISES ConfigValidationError: The span getter's block is wrong."""
        return registry.resolve({"get_spans": self.get_spans})["get_spans"]


class SentenceEncoder:
    """Cuts texts into sentences, and numbers their words.

    tokenization: How texts become sentences.
    nlp: The pipeline to begin with; by default one of its own.
    RAISES ValueError: Something that the tokenization names is unknown or wrong.
    """

    def __init__(self, tokenization: Tokenization, nlp: Optional[Language] = None) -> None:
        self._tokenization = tokenization
        self._get_spans = tokenization.make_span_getter()
        self._use(nlp or tokenization.make_nlp())

    def encode(self, texts: list[Text]) -> Chunk:
        """The sentences of some texts. Of a Doc, its own tokens are taken.

        RAISES ValueError: The span getter refuses a text.
        """
        if len(self._nlp.vocab) > _MAX_WORDS_KNOWN:
            self._use(self._tokenization.make_nlp())
        docs = [self._make_doc(text) for text in texts]
        ids: dict[str, int] = {}
        tokens: list[int] = []
        lengths = []
        for sentences in get_sentences(docs, self._get_spans):
            for words, rows, _ in sentences:
                if len(rows) < len(words):  # a window of a long sentence
                    words = [words[row] for row in rows.tolist()]
                if words:
                    tokens += [ids.setdefault(word, len(ids)) for word in words]
                    lengths.append(len(words))
        return Chunk(list(ids), np.array(tokens, "int32"), np.array(lengths, "int64"))

    def _make_doc(self, text: Text) -> Doc:
        if isinstance(text, Doc):
            return text
        if isinstance(text, str):  # not by nlp.make_doc(): only parsers need nlp.max_length
            return self._nlp.tokenizer(text)
        return Doc(self._nlp.vocab, words=text)

    def _use(self, nlp: Language) -> None:
        self._nlp = nlp
        # A memory zone would bound the memory, too, but in one the tokenizer doesn't cache.
        tokenizer: Any = self._nlp.tokenizer
        if hasattr(tokenizer, "max_cache_size"):  # a language's own may have none
            tokenizer.max_cache_size = _MAX_WORDS_KNOWN
