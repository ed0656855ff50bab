"""Convert two public data sets of labelled texts into spaCy's format, for compare_tok2vec.py.
WNUT17, the third, is converted by projects/ner/scripts/convert_conll.py.

    python benchmarks/convert_textcat.py trec train.txt test.txt trec/
    python benchmarks/convert_textcat.py sst2 train.tsv dev.tsv test.tsv sst2/

TREC (questions, six types): a line is ``DESC:manner How did serfdom develop ?``, and 500 training
questions, chosen at random, are kept for development, since TREC has none. SST-2 (film reviews):
a line is a text, a tab and 0 or 1. Both are tokenized already, by spaces.
"""

import random
from pathlib import Path
from typing import NamedTuple

import spacy
import typer
from spacy.tokens import Doc, DocBin
from wasabi import msg

N_DEVELOPMENT = 500

app = typer.Typer()


class Text(NamedTuple):
    """words: Its tokens.
    label: What it is."""

    words: list[str]
    label: str


@app.command()
def trec(
    train: Path = typer.Argument(..., help="Training questions"),
    test: Path = typer.Argument(..., help="Test questions"),
    output: Path = typer.Argument(..., help="Directory for train, dev and test.spacy"),
) -> None:
    """Convert TREC, whose encoding is Latin-1."""

    def read(path: Path) -> list[Text]:
        rows = [line.split() for line in path.read_text(encoding="latin1").splitlines()]
        return [Text(words, kind.partition(":")[0]) for kind, *words in filter(None, rows)]

    questions = read(train)
    random.Random(0).shuffle(questions)
    parts = {
        "train": questions[N_DEVELOPMENT:],
        "dev": questions[:N_DEVELOPMENT],
        "test": read(test),
    }
    save(parts, output)


@app.command()
def sst2(
    train: Path = typer.Argument(..., help="Training sentences"),
    dev: Path = typer.Argument(..., help="Development sentences"),
    test: Path = typer.Argument(..., help="Test sentences"),
    output: Path = typer.Argument(..., help="Directory for train, dev and test.spacy"),
) -> None:
    """Convert SST-2."""

    def read(path: Path) -> list[Text]:
        rows = [line.rpartition("\t") for line in path.read_text(encoding="utf8").splitlines()]
        names = {"0": "negative", "1": "positive"}
        return [Text(text.split(), names[label]) for text, _, label in rows if text.split()]

    save({"train": read(train), "dev": read(dev), "test": read(test)}, output)


def save(parts: dict[str, list[Text]], output: Path) -> None:
    """Write one .spacy file for each part; every text has every label, one of them is 1."""
    output.mkdir(parents=True, exist_ok=True)
    vocab = spacy.blank("en").vocab
    labels = sorted({text.label for text in parts["train"]})
    for part, texts in parts.items():
        docs = []
        for words, label in texts:
            doc = Doc(vocab, words=words)
            doc.cats = {name: float(name == label) for name in labels}
            docs.append(doc)
        DocBin(docs=docs, store_user_data=True).to_disk(output / f"{part}.spacy")
        msg.good(f"{output / part}.spacy: {len(docs)} texts, {len(labels)} labels")


if __name__ == "__main__":
    app()
