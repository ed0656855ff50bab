"""Find the most telling texts of either label, and mark in them, word by word, what tells."""

from pathlib import Path
from typing import List

import spacy
import typer
from draw_marks import draw_marks
from marked_page import write_page
from occlusion import mark_words
from spacy.language import Language
from spacy.tokens import Doc, DocBin
from wasabi import msg

from spacy_elmo.projects.plots.style import save


def main(
    model: Path = typer.Argument(..., exists=True, help="The pipeline that chooses the texts"),
    other: Path = typer.Argument(..., exists=True, help="One that marks them, too"),
    test: Path = typer.Argument(..., exists=True, help="A .spacy file that they haven't seen"),
    output: Path = typer.Argument(..., help="Page and picture, without suffix: HTML, PNG, SVG"),
    names: str = typer.Option("with ELMo,spaCy's tok2vec", help="What the two are called"),
    number: int = typer.Option(10, help="So many texts of either label are on the page"),
    drawn: int = typer.Option(3, help="So many are in the picture"),
    longest: int = typer.Option(16, help="Words of a text at most: a line of the picture"),
    title: str = typer.Option("", help="Stands above page and picture"),
) -> None:
    """Write a page and a picture."""
    first, second = spacy.load(model), spacy.load(other)
    docs = [
        doc for doc in DocBin().from_disk(test).get_docs(first.vocab) if 2 <= len(doc) <= longest
    ]
    marks = {}
    for label in ("positive", "negative"):
        texts = most_telling(first, docs, label, number)
        marks[label] = [
            (doc, mark_words(first, doc, "positive"), mark_words(second, doc, "positive"))
            for doc in texts
        ]
    shown = names.split(",")
    page = output.with_suffix(".html")
    write_page(page, title, shown, marks)
    figure = draw_marks({label: rows[:drawn] for label, rows in marks.items()}, shown, title)
    msg.good(", ".join(map(str, [page, *save(figure, output)])))
    for label, rows in marks.items():
        wrong = sum(doc.cats[label] < 0.5 for doc, _, _ in rows)
        msg.text(f"{label}: of the {len(rows)} texts on the page, {wrong} are wrongly so")


def most_telling(nlp: Language, docs: List[Doc], label: str, number: int) -> List[Doc]:
    """The texts of which the pipeline is surest that they have a label, whether it is right or not;
    they keep the labels that they were given."""
    copies = [
        Doc(nlp.vocab, words=[t.text for t in doc], spaces=[bool(t.whitespace_) for t in doc])
        for doc in docs
    ]
    scores = [doc.cats[label] for doc in nlp.pipe(copies)]
    order = sorted(range(len(docs)), key=lambda i: -scores[i])
    return [docs[i] for i in order[:number]]


if __name__ == "__main__":
    typer.run(main)
