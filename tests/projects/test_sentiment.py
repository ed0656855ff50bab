"""Words marked by what a classification loses without them: projects/sentiment."""

import numpy as np
import pytest
import spacy
from project_scripts import scripts_of
from spacy.language import Language
from spacy.tokens import Doc

with scripts_of("sentiment"):
    from colours import shade
    from marked_page import write_page
    from occlusion import log_odds, mark_words


WORTH = {"good": 2.0, "dull": -1.5}


@Language.component("sum_of_worths")
def sum_of_worths(doc):
    """Log-odds are sums over words, so that each word's effect is what it is worth."""
    worth = sum(WORTH.get(token.text, 0.0) for token in doc)
    doc.cats = {"positive": 1 / (1 + np.exp(-worth)), "negative": 1 / (1 + np.exp(worth))}
    return doc


@pytest.fixture
def nlp():
    nlp = spacy.blank("en")
    nlp.add_pipe("sum_of_worths")
    return nlp


def test_a_words_effect_is_what_is_lost_without_it(nlp):
    doc = nlp.make_doc("A good, dull film.")
    marked = mark_words(nlp, doc, "positive")
    assert marked.words == ["A", "good", ",", "dull", "film", "."]
    np.testing.assert_allclose(marked.effects, [0, 2, 0, -1.5, 0, 0], atol=1e-6)
    assert marked.score == pytest.approx(0.5, abs=1e-6) and marked.percent == 62
    assert doc.cats == {}
    against = mark_words(nlp, doc, "negative")
    np.testing.assert_allclose(against.effects, -marked.effects, atol=1e-6)
    with pytest.raises(ValueError, match="none can be left out: 'Good'"):
        mark_words(nlp, nlp.make_doc("Good"), "positive")


def test_odds_are_finite():
    assert log_odds(0.5) == 0
    assert 10 < log_odds(1.0) < 20 and log_odds(0.0) == pytest.approx(-log_odds(1.0))


def test_colours_say_which_way_and_how_much():
    assert shade(0.0, 1.0) == "#ffffff" == shade(0.0, 0.0)
    strong, weak = shade(1.0, 1.0), shade(0.2, 1.0)
    assert shade(2.0, 1.0) == strong != weak
    red, blue = (int(strong[i : i + 2], 16) for i in (1, 5))
    assert blue > red and shade(-1.0, 1.0)[1:3] > shade(-1.0, 1.0)[5:7]


def test_a_page_shows_texts_as_they_are(nlp, tmp_path):
    doc = nlp("<b> is good & dull")
    marked = mark_words(nlp, Doc(nlp.vocab, words=[token.text for token in doc]), "positive")
    marks = {"positive": [(doc, marked, marked)], "negative": []}
    write_page(tmp_path / "new" / "page.html", "A & B", ["one", "two"], marks)
    html = (tmp_path / "new" / "page.html").read_text(encoding="utf-8")
    assert "<title>A &amp; B</title>" in html and "<b>" not in html
    assert html.count('title="+2.00">good</span>') == 2
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["page.html"]
