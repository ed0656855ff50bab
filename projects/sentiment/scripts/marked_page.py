"""The page: texts with their words marked, those of two pipelines below one another."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Tuple

from colours import shade
from occlusion import Marked
from spacy.tokens import Doc

Marks = Mapping[str, Sequence[Tuple[Doc, Marked, Marked]]]

_STYLE = """
body { font: 16px/1.9 sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
span.word { padding: 0.15em 0.2em; border-radius: 0.2em; }
td { padding: 0 0.7em 0.2em 0; vertical-align: top; }
td.pipeline, p { color: #555; } td.pipeline { white-space: nowrap; font-size: 13px; }
tr.last td { padding-bottom: 1.1em; }
"""


def write_page(path: Path, title: str, names: Sequence[str], marks: Marks) -> None:
    """Write a page that needs nothing else.

    names: Of the two pipelines.
    marks: By the label that the first is sure of: texts, and their words as the two see them.
    """
    rows = "".join(
        f"<h2>Most surely {escape(label)}, says {escape(names[0])}</h2><table>"
        + "".join(_text(names, *row) for row in rows)
        + "</table>"
        for label, rows in marks.items()
    )
    key = (
        f'<span class="word" style="background: {shade(1, 1)}">speaks for positive</span> '
        f'<span class="word" style="background: {shade(-1, 1)}">speaks for negative</span>'
    )
    html = (
        f'<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style><h1>{escape(title)}</h1><p>{key} The stronger, the more the "
        "log-odds change when the word is left out (point at a word to see by how much). "
        f"Percentages: how likely the text is positive.</p>{rows}</html>\n"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(html, encoding="utf-8")
    temporary.replace(path)


def _text(names: Sequence[str], doc: Doc, first: Marked, second: Marked) -> str:
    true = "positive" if doc.cats["positive"] > 0.5 else "negative"
    return (
        f'<tr><td class="pipeline">{escape(names[0])}: {first.percent} %</td>'
        f"<td>{_words(first)}</td></tr>"
        f'<tr class="last"><td class="pipeline">{escape(names[1])}: {second.percent} %<br>'
        f"truly {true}</td><td>{_words(second)}</td></tr>"
    )


def _words(marked: Marked) -> str:
    full = max(abs(marked.effects).max(), 1e-9)
    parts = []
    for word, space, effect in zip(marked.words, marked.spaces, marked.effects, strict=True):
        style = f"background: {shade(float(effect), float(full))}"
        parts.append(
            f'<span class="word" style="{style}" title="{effect:+.2f}">{escape(word)}</span>'
            + (" " if space else "")
        )
    return "".join(parts)
