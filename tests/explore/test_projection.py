import numpy as np
import pytest

from spacy_elmo.explore import projection
from spacy_elmo.explore.projection import project

WEIGHTS = np.array([0.2, 0.5, 0.3])


def mixed(layers):
    rows = np.einsum("l,lnw->nw", WEIGHTS, layers.astype(float))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_principal_components(subject, index):
    pytest.importorskip("sklearn")
    rows = index.rows_of("bank")
    query = subject.bilm.embed([["A", "bank"]])[0][:, 1]
    drawn = project(index, rows, WEIGHTS, query)
    x = mixed(index.vectors(rows))
    u, lengths, axes = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    assert drawn.rows.tolist() == rows.tolist()
    assert drawn.share == pytest.approx((lengths[:2] ** 2).sum() / (lengths**2).sum(), rel=1e-4)
    np.testing.assert_allclose(np.abs(drawn.points), np.abs(u * lengths)[:, :2], atol=1e-5)
    expected = (mixed(query[:, None]) - x.mean(axis=0)) @ axes[:2].T
    np.testing.assert_allclose(np.abs(drawn.query), np.abs(expected[0]), atol=1e-5)


def test_at_most_so_many_points(index, monkeypatch):
    pytest.importorskip("sklearn")
    monkeypatch.setattr(projection, "MAX_POINTS", 4)
    drawn = project(index, np.arange(20), WEIGHTS)
    assert drawn.rows.tolist() == [0, 5, 10, 15]
    assert drawn.points.shape == (4, 2) and drawn.query is None


def test_occurrences_that_do_not_differ(index):
    """By layer 0, which knows no sentence."""
    pytest.importorskip("sklearn")
    rows = index.rows_of("river")
    drawn = project(index, rows, np.array([1.0, 0, 0]))
    np.testing.assert_allclose(drawn.points, 0, atol=1e-5)
    assert 0 <= drawn.share <= 1
