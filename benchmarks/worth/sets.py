"""The data sets: where they lie, how they are read, what is scored."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from worth import readers

TASKS = {  # by the name of the shipped config; with the scores that count
    "ner": ("ents_f",),
    "textcat": ("cats_micro_f",),  # of one label a text: accuracy
    "tagger_parser": ("tag_acc", "dep_las"),
}

TITLES = {"ner": "entities", "textcat": "text classification", "tagger_parser": "tags and trees"}


class DataSet(NamedTuple):
    """name: What reports call it.
    task: A key of ``TASKS``.
    folder: Where it lies, in the directory of all data.
    read: Reads a file.
    files: Of the parts train, test and maybe dev."""

    name: str
    task: str
    folder: str
    read: readers.Reader
    files: Mapping[str, str]

    @property
    def scores(self) -> tuple[str, ...]:
        """The scores that count."""
        return TASKS[self.task]

    def paths(self, data: Path) -> dict[str, Path]:
        """The files of the parts.

        data: The directory of all data.
        """
        return {part: data / self.folder / name for part, name in self.files.items()}


def _parts(train: str, test: str, dev: str = "") -> dict[str, str]:
    return {"train": train, "test": test, **({"dev": dev} if dev else {})}


SETS = {
    data_set.name: data_set
    for data_set in (
        DataSet(
            "WNUT17",
            "ner",
            "ner_wnut17",
            readers.read_sentences,
            _parts("wnut17train.conll", "emerging.test.annotated", "emerging.dev.conll"),
        ),
        DataSet(
            "AnEM",
            "ner",
            "ner_anem",
            readers.read_offset_documents,
            _parts("AnEM.train", "AnEM.test"),
        ),
        DataSet(
            "SEC",
            "ner",
            "ner_sec_filings",
            readers.read_marked_documents,
            _parts("FIN5.txt", "FIN3.txt"),
        ),
        DataSet(
            "drugs",
            "ner",
            "ner_drugs",
            readers.read_prodigy,
            _parts("drugs_training.jsonl", "drugs_eval.jsonl"),
        ),
        DataSet(
            "TREC",
            "textcat",
            "textcat_trec",
            readers.read_questions,
            _parts("train.txt", "test.txt"),
        ),
        DataSet(
            "SST-2",
            "textcat",
            "textcat_sst2",
            readers.read_reviews,
            _parts("train.tsv", "test.tsv", "dev.tsv"),
        ),
        DataSet(
            "BANKING77",
            "textcat",
            "intent_banking77",
            readers.read_intents,
            _parts("train.csv", "test.csv"),
        ),
        DataSet(
            "docs_issues",
            "textcat",
            "textcat_docs_issues",
            readers.read_prodigy,
            _parts("docs_issues_training.jsonl", "docs_issues_eval.jsonl"),
        ),
        DataSet(
            "LinES",
            "tagger_parser",
            "languages/ud_en_lines",
            readers.read_trees,
            _parts("en_lines-ud-train.conllu", "en_lines-ud-test.conllu", "en_lines-ud-dev.conllu"),
        ),
    )
}
