"""What the page shows: sentences and tables as HTML, and charts. Needs the extra ``explore``."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Union

import altair as alt
import pandas as pd

from ..pretraining.evaluation import Neighbour, Occurrence, Substitute, Surprisal
from .index import Index
from .projection import Map
from .subject import LearnedMix

CONTEXT = 12  # words that are shown on each side of an occurrence
BLUE, ORANGE = "#3b7dd8", "#e4572e"
_CELL = (
    "padding:.3rem .6rem .3rem 0;vertical-align:top;border-bottom:1px solid rgba(128,128,128,.2)"
)


def around(occurrence: Occurrence, n: int = CONTEXT) -> tuple[str, str, str]:
    """The words before an occurrence, its word, and those after it."""
    words, position = occurrence
    start, end = max(position - n, 0), position + 1 + n
    before = " ".join([*(["…"] if start else []), *words[start:position]])
    after = " ".join([*words[position + 1 : end], *(["…"] if end < len(words) else [])])
    return before, words[position], after


def sentence_html(occurrence: Occurrence) -> str:
    """An occurrence in its sentence, in bold."""
    before, word, after = map(escape, around(occurrence))
    return f"{before} <b style='color:{ORANGE}'>{word}</b> {after}".strip()


def table_html(rows: Iterable[Sequence[str]], header: Sequence[str] = ()) -> str:
    """rows, header: The cells, as HTML."""
    head = "".join(f"<th style='{_CELL};text-align:left'>{cell}</th>" for cell in header)
    body = "".join(
        "<tr>" + "".join(f"<td style='{_CELL}'>{cell}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    return f"<table style='border-collapse:collapse;width:100%'><tr>{head}</tr>{body}</table>"


def neighbours_html(found: Sequence[Neighbour]) -> str:
    """The cosine of each neighbour, and its sentence."""
    return table_html((f"{cosine:.3f}", sentence_html(place)) for place, cosine in found)


def predictions_html(
    words: Sequence[str], surprisal: Surprisal, substitutes: Sequence[Sequence[Substitute]]
) -> str:
    """A row for each word of a sentence: its surprisal, and what could stand in its place."""
    rows = []
    for i, word in enumerate(words):
        forward, backward = float(surprisal.forward[i]), float(surprisal.backward[i])
        strength = min((forward + backward) / 40, 0.6)  # 20 bits a direction is one in a million
        style = f"background:rgba(228,87,46,{strength:.2f});padding:0 .3rem;border-radius:.2rem"
        name = escape(word) if surprisal.known[i] else f"{escape(word)} <i>(unknown)</i>"
        others = ", ".join(
            f"{escape(other.word)}&nbsp;<small>{_percent(other.probability)}</small>"
            for other in substitutes[i]
        )
        rows.append(
            (f"<span style='{style}'>{name}</span>", f"{forward:.1f}", f"{backward:.1f}", others)
        )
    return table_html(
        rows,
        (
            "Word",
            "Bits, by the words before",
            "Bits, by the words after",
            "What the biLM would have put",
        ),
    )


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.005 else "&lt;1%"


def layer_name(layer: int) -> str:
    """What the page calls a layer."""
    return "layer 0 (letters)" if layer == 0 else f"layer {layer}"


def shares_chart(mixes: Sequence[LearnedMix]) -> alt.Chart:
    """How much of each layer each component takes."""
    rows = [
        {"component": mix.name, "layer": layer_name(i), "share": float(share)}
        for mix in mixes
        for i, share in enumerate(mix.shares)
    ]
    return (
        alt.Chart(pd.DataFrame(rows))
        .mark_bar()
        .encode(
            x=alt.X("share:Q", title="share of the layer", axis=alt.Axis(format="%")),
            y=alt.Y("layer:N", title=None),
            color=alt.Color("layer:N", legend=None),
            row=alt.Row(
                "component:N",
                title=None,
                sort=[mix.name for mix in mixes],
                header=alt.Header(labelAngle=0, labelAlign="left"),
            ),
            tooltip=["component", "layer", alt.Tooltip("share", format=".1%")],
        )
        .properties(height=80)
    )


def map_chart(index: Index, drawn: Map, query: Occurrence) -> Union[alt.LayerChart, alt.FacetChart]:
    """The occurrences of a word, each with its sentence as a tooltip; the query's is larger."""
    places = [index.occurrence(int(row)) for row in drawn.rows]
    texts = _frame(drawn.points.tolist(), places)
    chart = alt.Chart(texts).mark_circle(size=70, opacity=0.6, color=BLUE)
    layers = [_on_map(chart)]
    if drawn.query is not None:
        own = alt.Chart(_frame([drawn.query.tolist()], [query]))
        layers.append(_on_map(own.mark_point(shape="diamond", size=250, filled=True, color=ORANGE)))
    return alt.layer(*layers).properties(height=480).interactive()


def _frame(points: Sequence[Sequence[float]], places: Sequence[Occurrence]) -> pd.DataFrame:
    rows = []
    for (x, y), place in zip(points, places, strict=True):
        before, word, after = around(place)
        rows.append({"x": x, "y": y, "sentence": f"{before} [{word}] {after}".strip()})
    return pd.DataFrame(rows)


def _on_map(chart: alt.Chart) -> alt.Chart:
    axis = alt.Axis(labels=False, ticks=False)
    return chart.encode(
        x=alt.X("x:Q", title="first component", axis=axis, scale=alt.Scale(zero=False)),
        y=alt.Y("y:Q", title="second component", axis=axis, scale=alt.Scale(zero=False)),
        tooltip="sentence:N",
    )
