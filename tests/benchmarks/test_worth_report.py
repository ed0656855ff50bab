"""Tables and picture, from made-up scores."""

import pytest


@pytest.fixture
def parts():
    """A summary of an entity set and a text set, with stock, ELMo and a linear classifier."""
    from worth.sets import SETS
    from worth.summary import Cell, Trained, group, summarize
    from worth.systems import list_systems

    sets = [SETS["SEC"], SETS["TREC"]]
    systems = list_systems(["en_small"], linear=["tfidf"])
    scores = {
        ("SEC", "stock"): ("ents_f", [0.5, 0.7]),
        ("SEC", "en_small"): ("ents_f", [0.7, 0.7]),
        ("TREC", "stock"): ("cats_micro_f", [0.8]),
        ("TREC", "en_small"): ("cats_micro_f", [0.9]),
        ("TREC", "linear, tfidf"): ("cats_micro_f", [0.7]),
    }
    runs = {
        Cell(name, system, 1): [Trained({score: value}, 60) for value in values]
        for (name, system), (score, values) in scores.items()
    }
    speeds = {pair: [100.0, 300.0, 200.0] for pair in scores}
    speeds["SEC", "en_small"] = [50.0]
    return summarize(sets, group(sets, systems), runs, speeds), systems


def test_errors_removed(parts):
    summary, _ = parts
    cells = {(c["data_set"], c["system"]): c for c in summary["cells"]}
    assert cells["SEC", "stock"]["errors_removed"] == 0
    assert cells["SEC", "stock"]["scores"]["ents_f"]["deviation"] == 14.14
    assert cells["SEC", "en_small"]["errors_removed"] == 25  # 10 of 40
    assert cells["TREC", "linear, tfidf"]["errors_removed"] == -50


def test_means_are_over_the_same_sets(parts):
    summary, _ = parts
    everything, texts = summary["groups"]
    assert everything["sets"] == ["SEC", "TREC"] and texts["sets"] == ["TREC"]
    assert everything["systems"]["en_small"] == {
        "errors_removed": {"1": 37.5},
        "words_per_second": 100,  # the geometric mean of 50 and 200
    }
    # One that wasn't trained on a set has no mean.
    assert everything["systems"]["en_small, tuned"]["errors_removed"] == {"1": None}
    assert "linear, tfidf" not in everything["systems"]
    assert texts["systems"]["linear, tfidf"]["errors_removed"] == {"1": -50}


def test_tables(parts):
    from worth.table import write_tables

    tables = write_tables(parts[0])
    assert "| stock | 60.0 ± 14.1 | 80.0 |" in tables
    assert "| en_small | 70.0 ± 0.0 (+25.0 %) | 90.0 (+50.0 %) |" in tables
    assert "| linear, tfidf |  | 70.0 (-50.0 %) |" in tables
    assert "| en_small | 37.5 | 100 |" in tables


@pytest.mark.slow
def test_picture(parts, tmp_path):
    pytest.importorskip("matplotlib")
    from worth import picture

    summary, systems = parts
    kinds = {system.name: system.kind for system in systems}
    paths = [tmp_path / "worth.svg", tmp_path / "worth.png"]
    picture.draw(summary, kinds, paths)
    drawn = paths[0].read_text()
    assert all(f">{name}<" in drawn for name in ("stock", "en_small", "linear, tfidf"))
    assert paths[1].stat().st_size > 10_000
    summary["groups"] = []
    with pytest.raises(ValueError, match="No system"):
        picture.draw({**summary, "groups": [{"title": "", "sets": [], "systems": {}}]}, {}, paths)


def test_frontier():
    pytest.importorskip("matplotlib")
    from worth.picture import Point, pareto

    a, b, c, d = (
        Point(name, "stock", speed, worth)
        for name, speed, worth in (("a", 1, 9), ("b", 2, 5), ("c", 1.5, 4), ("d", 9, 1))
    )
    assert pareto([d, c, b, a]) == [a, b, d]
