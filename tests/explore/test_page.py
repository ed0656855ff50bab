import numpy as np
import pytest
import torch

from spacy_elmo import BiLM
from spacy_elmo.cli.explore import PAGE
from spacy_elmo.explore import find_or_build_index, nearest, open_subject
from spacy_elmo.formats import SoftmaxWeights

AppTest = pytest.importorskip("streamlit.testing.v1").AppTest
pytest.importorskip("sklearn")
pytestmark = pytest.mark.slow  # each click runs the page anew

TEXT = "She left the bank."


@pytest.fixture
def open_page(texts, monkeypatch):
    """Runs the page, as Streamlit does, but without a server."""

    def open_(source):
        directory = find_or_build_index(open_subject(source), texts)
        monkeypatch.setattr("sys.argv", ["page.py", source, str(directory), "en"])
        page = AppTest.from_file(str(PAGE), default_timeout=60).run()
        assert not page.exception
        page.text_input(key="text").set_value(TEXT).run()
        choose(page, 3)
        return page

    return open_


def choose(page, position):
    """Click a word's button."""
    page.pills[0].set_value(position).run()
    assert not page.exception


def tables(page):
    return [element.value for element in page.get("html")]


def expected(index, subject, weights, position=3):
    words = subject.sentences(TEXT)[0]
    query = subject.bilm.embed([words])[0][:, position]
    return nearest(index, query, np.array(weights), 8, but=words)


def shows(table, found):
    """Whether a table has these cosines, in this order."""
    places = [table.find(f">{neighbour.cosine:.3f}<") for neighbour in found]
    return -1 not in places and places == sorted(places)


def test_sliders_and_words(open_page, source, subject, index):
    page = open_page(source)
    assert "37 words of text in 5 sentences" in page.caption[0].value
    by_mix, by_top = tables(page)
    assert shows(by_mix, expected(index, subject, [1 / 3] * 3))
    assert shows(by_top, expected(index, subject, [0, 0, 1]))
    assert "<b style" in by_mix and "lends money" in by_mix
    page.slider(key="s0").set_value(-5.0).run()
    page.slider(key="s1").set_value(5.0).run()
    by_mix, by_top = tables(page)
    shares = np.exp([-5, 5, 0]) / np.exp([-5, 5, 0]).sum()
    assert shows(by_mix, expected(index, subject, shares))
    assert shows(by_top, expected(index, subject, [0, 0, 1]))
    page.radio(key="layer").set_value(0).run()
    assert shows(tables(page)[1], expected(index, subject, [1, 0, 0]))
    choose(page, 0)
    assert shows(tables(page)[0], expected(index, subject, shares, position=0))


def test_compared_with_the_same_word(open_page, source):
    page = open_page(source)
    page.button_group(key="compared").set_value("the same word").run()
    assert all(">bank</b>" in row.lower() for row in tables(page)[0].split("</tr>")[1:-1])
    page.button_group(key="compared").set_value("other words").run()
    assert ">bank</b>" not in tables(page)[0].lower()


def test_what_there_is_not(open_page, source):
    page = open_page(source)
    lines = [element.value for element in page.info]
    assert any("no softmax" in line for line in lines)
    assert any("A pipeline in place of the biLM" in line for line in lines)
    choose(page, 1)
    assert any("They have it 1 times" in element.value for element in page.info)
    page.text_input(key="text").set_value(" ").run()
    assert not page.exception and "Type a sentence" in page.info[0].value


def test_texts_cant_write_html(open_page, source, texts):
    with open(texts[0], "a") as file:
        file.write("The bank <script>alert(1)</script> & more\n")
    page = open_page(source)
    assert "&lt;" in tables(page)[0] and "<script" not in tables(page)[0]


def test_what_listeners_have_learned(open_page, pipeline):
    page = open_page(pipeline)
    assert any("a: gamma 1.500" in element.value for element in page.caption)
    page.selectbox(key="start").set_value("what a learned").run()
    assert [page.slider(key=f"s{i}").value for i in range(3)] == pytest.approx([0, 1, -1])


def test_predictions(open_page, source, tmp_path):
    words = ("</S>", "<S>", "<UNK>", ".", "the", "bank", "left")
    generator = torch.Generator().manual_seed(0)
    weight, bias = torch.randn(7, 4, generator=generator), torch.randn(7, generator=generator)
    bilm = BiLM.load(source)
    bilm.save(tmp_path / "softmax", softmax=SoftmaxWeights(words, weight, bias))
    page = open_page(str(tmp_path / "softmax"))
    surprisal = BiLM.load(tmp_path / "softmax").surprisal([["She", "left", "the", "bank", "."]])[0]
    table = tables(page)[2]
    assert f">{surprisal.forward[3]:.1f}<" in table and f">{surprisal.backward[3]:.1f}<" in table
    assert any(f"{surprisal.perplexity:,.1f}" in element.value for element in page.caption)
    assert "She <i>(unknown)</i>" in table and "left <i>" not in table
