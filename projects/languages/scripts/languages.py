"""What is different between languages: a table to add to."""

from dataclasses import dataclass, field
from typing import Any, Dict, Optional

from spacy_elmo.projects.corpora.columns import Begin, Columns


@dataclass(frozen=True)
class Language:
    """title: What is learned from, for pictures.
    code: spaCy's.
    tokenizer: A block of a config; by default the language's own tokenizer.
    entities: File of each part; without a part "dev", a tenth of "train" is held out for it.
    columns: Of these files; None for the format "inline" of ``spacy_elmo.projects convert``.
    begin: Where documents begin in columns, none of which is torn apart to hold out some.
    trees: File of each part, CoNLL-U.
    """

    title: str
    code: str
    tokenizer: Optional[Dict[str, Any]] = None
    entities: Dict[str, str] = field(default_factory=dict)
    columns: Optional[Columns] = None
    begin: Begin = "sentence"
    trees: Dict[str, str] = field(default_factory=dict)

    @property
    def has_spaces(self) -> bool:
        """Whether words are written apart."""
        return self.columns is None or self.columns.has_spaces


# By the names of their folders in assets.
LANGUAGES = {
    # The German sentences of this project.
    "own": Language(
        "German sentences of this project",
        "de",
        entities={"train": "train.txt", "dev": "dev.txt", "test": "test.txt"},
    ),
    # GermEval 2014, its outer entities. Its test file is what is learned from.
    "de": Language(
        "German, GermEval 2014",
        "de",
        entities={"train": "ner.test.tsv", "test": "ner.dev.tsv"},
        columns=Columns(word=1, tag=2, comment="#\t"),
    ),
    # Of the treebank, the development file is what is learned from.
    "fi": Language(
        "Finnish, Turku NER corpus and UD TDT",
        "fi",
        entities={"train": "ner.train.tsv", "dev": "ner.dev.tsv", "test": "ner.test.tsv"},
        columns=Columns(tag=1),
        begin="mark",
        trees={"train": "ud.dev.conllu", "test": "ud.test.conllu"},
    ),
    # spaCy's own default for Chinese takes every character for a word. Entities and trees are of
    # words, so it is told to find words, with the package jieba.
    "zh": Language(
        "Chinese, UNER and UD GSDSimp",
        "zh",
        tokenizer={"@tokenizers": "spacy.zh.ChineseTokenizer", "segmenter": "jieba"},
        entities={"train": "ner.train.iob2", "dev": "ner.dev.iob2", "test": "ner.test.iob2"},
        columns=Columns(word=1, tag=2, comment="# ", has_spaces=False),
        trees={"train": "ud.dev.conllu", "test": "ud.test.conllu"},
    ),
}
