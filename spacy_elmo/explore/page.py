"""The page: a Streamlit script, which runs anew at each click.

``python -m spacy elmo explore`` starts it as ``streamlit run page.py -- SOURCE INDEX LANG``. It is
no module of the package when it runs, so its imports are absolute.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

import numpy as np
import streamlit as st

from spacy_elmo.explore import Index, LearnedMix, Subject, nearest, open_subject
from spacy_elmo.explore.drawing import (
    layer_name,
    map_chart,
    neighbours_html,
    predictions_html,
    shares_chart,
)
from spacy_elmo.explore.projection import MIN_POINTS, project
from spacy_elmo.explore.subject import softmax
from spacy_elmo.pretraining.evaluation import Occurrence, Substitute, Surprisal
from spacy_elmo.urls import shown

EXAMPLE = "She sat on the bank and fished."
N_SUBSTITUTES = 5
LIMIT = 5.0  # of a slider
COMPARED = ("all words", "the same word", "other words")


@st.cache_resource(show_spinner="Reading the biLM …")
def read(source: str, directory: str, lang: str) -> tuple[Subject, Index]:
    """What is looked into, and the texts; once for all visits."""
    subject = open_subject(source, lang)
    width = subject.bilm.config.width
    return subject, Index.open(Path(directory), subject.n_layers, width)


@st.cache_data(show_spinner=False, max_entries=100)
def read_sentences(source: str, text: str, _subject: Subject) -> list[tuple[list[str], np.ndarray]]:
    """The words of each sentence, and their layers (n_layers + 1, n_words, width)."""
    sentences = _subject.sentences(text)
    return list(zip(sentences, _subject.bilm.embed(sentences), strict=True))


@st.cache_data(show_spinner=False, max_entries=100)
def predict(source: str, words: list[str], _subject: Subject) -> Any:
    """Surprisal and substitutes of a sentence, or the reason why there are none."""
    try:
        surprisal = _subject.bilm.surprisal([words])[0]
        found = _subject.bilm.substitutes([words], N_SUBSTITUTES)[0]
    except (ValueError, OSError, ImportError) as error:
        return str(error)
    return tuple(surprisal), [[tuple(word) for word in place] for place in found]


def main(source: str, directory: str, lang: str) -> None:
    """source, lang: As ``open_subject`` takes them. directory: The index's."""
    st.set_page_config(page_title="spacy-elmo", layout="wide")
    subject, index = read(source, directory, lang)
    st.header("What does this biLM know of words in context?")
    st.caption(
        f"{shown(source)}: {subject.n_layers} layers of width {subject.bilm.config.width} · "
        f"{index.n_rows:,} words of text in {index.store.n_sentences:,} sentences"
    )
    weights = choose_weights(subject)
    text = st.text_input("A sentence", EXAMPLE, key="text")
    sentences = read_sentences(source, text, subject)
    chosen = choose_word([words for words, _ in sentences], index)
    if chosen is None:
        st.info("Type a sentence, and choose one of its words.")
        return
    words, layers = sentences[chosen[0]]
    place, query = Occurrence(words, chosen[1]), layers[:, chosen[1]]
    titles = ["Nearest in the texts", "Map of the word", "Surprise", "What listeners learned"]
    parts: list[Callable[[], None]] = [
        lambda: show_neighbours(index, place, query, weights),
        lambda: show_map(index, place, query, weights),
        lambda: show_predictions(source, subject, words),
        lambda: show_mixes(subject.mixes),
    ]
    for tab, show in zip(st.tabs(titles), parts, strict=True):
        with tab:
            show()


def choose_weights(subject: Subject) -> np.ndarray:
    """Sliders for the layers. RETURNS: (n_layers + 1,) of sum 1."""
    layers = range(subject.n_layers)
    with st.sidebar:
        st.header("Layer weights")
        starts = {"the mean of the layers": np.zeros(subject.n_layers)}
        for mix in subject.mixes:
            s = np.log(np.maximum(mix.shares, 1e-9))
            starts[f"what {mix.name} learned"] = np.clip(s - s.mean(), -LIMIT, LIMIT)

        def begin() -> None:
            for i, value in enumerate(starts[st.session_state["start"]]):
                st.session_state[f"s{i}"] = float(value)

        if subject.mixes:
            st.selectbox("Start from", list(starts), key="start", on_change=begin)
        s = [
            st.slider(f"s of {layer_name(i)}", -LIMIT, LIMIT, 0.0, 0.1, key=f"s{i}") for i in layers
        ]
        weights = softmax(np.array(s))
        st.caption("softmax(s), the share of each layer in the mix:")
        for i in layers:
            st.progress(float(weights[i]), f"{layer_name(i)}: {weights[i]:.1%}")
    return weights


def choose_word(sentences: list[list[str]], index: Index) -> Optional[tuple[int, int]]:
    """Buttons. RETURNS: Sentence and position of a word; None if there is none."""
    places = [(i, j) for i, words in enumerate(sentences) for j in range(len(words))]
    if not places:
        return None
    words = [sentences[i][j] for i, j in places]
    chosen = st.pills(
        "A word of it",
        range(len(places)),
        format_func=words.__getitem__,
        # At first a long word, of which there is a map.
        default=max(
            range(len(places)), key=lambda k: (index.count(words[k]) >= MIN_POINTS, len(words[k]))
        ),
        key=f"word in {sentences}",  # other sentences, other buttons
    )
    return None if chosen is None else places[chosen]


def show_neighbours(
    index: Index, place: Occurrence, query: np.ndarray, weights: np.ndarray
) -> None:
    """The nearest words by the mix, and beside it those by one layer."""
    top = st.columns(2)
    compared = top[0].segmented_control(
        "Compared with", COMPARED, default=COMPARED[0], key="compared"
    )
    n = top[1].slider("How many", 1, 30, 8, key="n")
    among = None
    if compared in COMPARED[1:]:
        same = index.rows_of(place.words[place.position])
        among = same if compared == COMPARED[1] else np.setdiff1d(np.arange(index.n_rows), same)
    left, right = st.columns(2)
    n_layers = len(weights)
    left.subheader("By the mix")
    right.subheader("By one layer")
    with right:
        layer = st.radio(
            "Layer",
            range(n_layers),
            index=n_layers - 1,
            format_func=layer_name,
            horizontal=True,
            label_visibility="collapsed",
            key="layer",
        )
    left.caption(" + ".join(f"{weight:.2f} · layer {i}" for i, weight in enumerate(weights)))
    for column, by in ((left, weights), (right, np.eye(n_layers)[layer])):
        found = nearest(index, query, by, n, among=among, but=place.words)
        if found:
            column.html(neighbours_html(found))
        else:
            column.info("The texts have no such word.")


def show_map(index: Index, place: Occurrence, query: np.ndarray, weights: np.ndarray) -> None:
    """The word's occurrences in the texts, by the mix."""
    word = place.words[place.position]
    rows = index.rows_of(word)
    if len(rows) < MIN_POINTS:
        st.info(
            f"A map needs {MIN_POINTS} times '{word}' in the texts. They have it {len(rows)} times."
        )
        return
    drawn = project(index, rows, weights, query)
    st.caption(
        f"{len(drawn.rows):,} of {len(rows):,} occurrences of '{word}' by the mix, in the two "
        f"directions in which they differ most ({drawn.share:.0%} of the variance). The diamond is "
        "the word in your sentence. Point at a dot to read its sentence."
    )
    st.altair_chart(map_chart(index, drawn, place))


def show_predictions(source: str, subject: Subject, words: list[str]) -> None:
    """How surprising the sentence's words are, and what the biLM would have put there."""
    result = predict(source, words, subject)
    if isinstance(result, str):
        st.info(result)
        return
    surprisal, found = Surprisal(*result[0]), [[Substitute(*w) for w in p] for p in result[1]]
    st.caption(f"Perplexity of the sentence: {surprisal.perplexity:,.1f}")
    st.html(predictions_html(words, surprisal, found))


def show_mixes(mixes: list[LearnedMix]) -> None:
    """How the components of a pipeline weight the layers."""
    if not mixes:
        st.info("A pipeline in place of the biLM shows here what its listeners have learned.")
        return
    st.altair_chart(shares_chart(mixes))
    st.caption(" · ".join(f"{mix.name}: gamma {mix.gamma:.3f}" for mix in mixes))


if __name__ == "__main__":
    main(*sys.argv[1:])
