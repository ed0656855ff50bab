import math
import struct
import sys

import matplotlib
import pytest
from matplotlib import pyplot
from matplotlib.backends import backend_agg

from spacy_elmo.pretraining.reports.curves import plot_curves


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are drawn while a test runs."""
    figures = []

    class Canvas(backend_agg.FigureCanvasAgg):
        def __init__(self, figure):
            figures.append(figure)
            super().__init__(figure)

    monkeypatch.setattr(backend_agg, "FigureCanvasAgg", Canvas)
    return figures


def png_size(path):
    """(width, height) by the header of a PNG."""
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", data[16:24])


def plots(figure):
    return {axes.get_title(loc="left"): axes for axes in figure.axes}


def legend(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


@pytest.mark.slow
def test_curves_of_a_run(tmp_path, make_report, drawn):
    reports = [make_report(step) for step in range(0, 40_001, 1000)]
    reports[30] = make_report(30_000, perplexity_forward=101.25)
    reports[35] = make_report(35_000, perplexity_backward=99.5)
    path = tmp_path / "curves.png"
    plot_curves(reports, path, "en_small")

    assert png_size(path) == (1440, 1280)
    (figure,) = drawn
    by_title = plots(figure)
    losses = by_title["Training loss (nats a token)"]
    for line, name in zip(losses.get_lines(), ["forward", "backward"], strict=True):
        assert list(line.get_xdata()) == [report.words for report in reports]
        assert list(line.get_ydata()) == [getattr(report, f"loss_{name}") for report in reports]
    perplexities = by_title["Held-out perplexity (log scale)"]
    assert perplexities.get_yscale() == "log"
    assert legend(perplexities) == [
        "forward, lowest: 101.2 at 38.4M tokens",
        "backward, lowest: 99.50 at 44.8M tokens",
    ]
    dot = perplexities.get_lines()[1]
    assert (dot.get_xdata()[0], dot.get_ydata()[0]) == (reports[30].words, 101.25)
    assert list(by_title["Learning rate"].get_lines()[0].get_ydata()) == [0.002] * 41
    assert set(by_title["Tokens a second"].get_lines()[0].get_ydata()) == {5000.0}


@pytest.mark.slow
def test_a_fresh_network_does_not_flatten_the_rest(tmp_path, make_report, drawn):
    first = make_report(0, perplexity_forward=7e4, perplexity_backward=7e4)
    plot_curves([first, *map(make_report, range(4000, 9000, 1000))], tmp_path / "a.png", "")
    top = plots(drawn[0])["Held-out perplexity (log scale)"].get_ylim()[1]
    assert 1000 < top < 5000


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_reports(tmp_path, make_report, drawn, n):
    plot_curves([make_report(1000 * i) for i in range(n)], tmp_path / "a.png", "")
    assert png_size(tmp_path / "a.png") == (1440, 1280)
    lines = plots(drawn[0])["Training loss (nats a token)"].get_lines()
    assert all(line.get_marker() == "." for line in lines)


@pytest.mark.filterwarnings("error")
def test_what_is_not_known_makes_a_gap(tmp_path, make_report, drawn):
    unknown = {"perplexity_forward": math.nan, "perplexity_backward": math.inf}
    reports = [make_report(1000 * i, loss_forward=math.nan, **unknown) for i in range(3)]
    plot_curves(reports, tmp_path / "a.png", "")
    axes = plots(drawn[0])["Held-out perplexity (log scale)"]
    assert [text.get_text() for text in axes.texts] == ["not measured"]


@pytest.mark.slow
def test_nothing_global_is_touched(tmp_path, make_report):
    settings = dict(matplotlib.rcParams)
    figures = pyplot.get_fignums()
    plot_curves([make_report(1)], tmp_path / "a.png", "")
    assert pyplot.get_fignums() == figures
    assert dict(matplotlib.rcParams) == settings


def test_a_failure_leaves_the_old_picture(tmp_path, make_report, monkeypatch):
    path = tmp_path / "curves.png"
    path.write_bytes(b"old")

    def full(self, file, **settings):
        file.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(backend_agg.FigureCanvasAgg, "print_figure", full)
    with pytest.raises(OSError, match="No space left"):
        plot_curves([make_report(1)], path, "")
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"old"]


def test_without_matplotlib(tmp_path, make_report, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("matplotlib.")]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"spacy-elmo\[plot\]"):
        plot_curves([make_report(1)], tmp_path / "curves.png", "")
    assert list(tmp_path.iterdir()) == []
