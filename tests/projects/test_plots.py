"""What pictures show, without looking at them."""

import numpy as np
import pytest
import spacy
from spacy.tokens import Doc, Span

from spacy_elmo.projects.plots.bars import draw_bars
from spacy_elmo.projects.plots.confusion import NOTHING, count_pairs, draw_confusion
from spacy_elmo.projects.plots.scatter import principal_components
from spacy_elmo.projects.plots.style import new_figure
from spacy_elmo.projects.plots.weights import draw_weights, read_mixes
from spacy_elmo.projects.runs import Run

VOCAB = spacy.blank("en").vocab


def with_entities(*entities):
    doc = Doc(VOCAB, words=["a", "b", "c", "d"])
    doc.ents = [Span(doc, *entity) for entity in entities]
    return doc


def test_entities_are_paired_by_their_tokens():
    reference = with_entities((0, 1, "X"), (1, 3, "Y"))
    prediction = with_entities((0, 1, "Y"), (1, 2, "Y"))
    assert count_pairs([(reference, prediction)]) == {
        ("X", "Y"): 1,
        ("Y", NOTHING): 1,
        (NOTHING, "Y"): 1,
    }
    with pytest.raises(ValueError, match="neither entities nor categories"):
        count_pairs([(with_entities(), prediction)])


def test_texts_are_paired_by_their_likeliest_category():
    reference, prediction = with_entities(), with_entities()
    reference.cats, prediction.cats = {"X": 1.0, "Y": 0.0}, {"X": 0.3, "Y": 0.7}
    pairs = count_pairs([(reference, prediction)])
    assert pairs == {("X", "Y"): 1}
    pytest.importorskip("matplotlib")
    [axes, _] = draw_confusion(pairs).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["X", "Y"]
    assert sorted(text.get_text() for text in axes.texts) == ["0", "0", "0", "1"]


def test_weights_of_layers_are_those_of_the_listeners():
    nlp = spacy.blank("en")
    nlp.add_pipe("elmo")
    with pytest.raises(ValueError, match="No component of the pipeline has learned a mix"):
        read_mixes(nlp)
    tok2vec = {"@architectures": "spacy-elmo.ElmoListener.v1", "upstream": "elmo"}
    tagger = nlp.add_pipe("tagger", config={"model": {"tok2vec": tok2vec}})
    tagger.add_label("N")
    nlp.initialize()
    [mix] = [node for node in tagger.model.walk() if node.name == "scalar_mix"]
    mix.set_param("s", np.log(np.array([1, 1, 2], dtype="float32")))
    mix.set_param("gamma", np.array([3], dtype="float32"))
    [found] = read_mixes(nlp)
    assert found.component == "tagger" and found.gamma == 3
    np.testing.assert_allclose(found.shares, [0.25, 0.25, 0.5], rtol=1e-6)
    pytest.importorskip("matplotlib")
    [axes] = draw_weights([found]).axes
    heights = [bar.get_height() for bar in axes.patches]
    np.testing.assert_allclose(heights, [25, 25, 50], rtol=1e-6)


def test_principal_components_are_those_of_scikit_learn():
    decomposition = pytest.importorskip("sklearn.decomposition")
    vectors = np.random.default_rng(0).normal(size=(30, 5)) * [5, 3, 1, 1, 1]
    expected = decomposition.PCA(2).fit_transform(vectors)
    found = principal_components(vectors)
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-8)


def test_a_bar_is_the_mean_of_the_seeds():
    pytest.importorskip("matplotlib")
    axes = new_figure(3, 3).subplots()
    scores = [("A", 0, 0.2), ("A", 1, 0.4), ("B", 0, 0.5)]
    runs = [Run(name, 9, 1, seed, {"ents_f": score}) for name, seed, score in scores]
    draw_bars(axes, runs, "ents_f", "A title", blue=["B"])
    widths = {bar.get_y(): bar.get_width() for bar in axes.patches}
    assert [widths[y] for y in sorted(widths)] == pytest.approx([50, 30])  # the first is on top
    blue, grey = (bar.get_facecolor() for bar in axes.patches)
    assert blue != grey
    seeds = [line.get_xdata().tolist() for line in axes.lines]
    assert seeds == [[20, 50], [40]]
