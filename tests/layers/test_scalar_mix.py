import numpy as np
import pytest
from numpy.testing import assert_allclose

from spacy_elmo.bilm import ScalarMixConfig
from spacy_elmo.layers import scalar_mix, start_mix


@pytest.fixture
def layers():
    """Layers of two docs, one of them empty, with an all-zero (whitespace) token."""
    rng = np.random.default_rng(0)
    array = rng.normal(size=(3, 5, 4)).astype("f")
    array[:, 2] = 0
    return [array, array[:, :0]]


def learned_mix(layer_norm=False):
    model = scalar_mix(layer_norm=layer_norm)
    model.set_param("s", np.array([0.3, -1.0, 0.7], dtype="f"))
    model.set_param("gamma", np.array([1.7], dtype="f"))
    return model


def slow_mix(array, s, gamma, layer_norm=False):
    """Equation 1 of Peters et al. (2018), in float64, token by token."""
    weights = np.exp(s.astype("f8")) / np.exp(s.astype("f8")).sum()
    result = np.zeros(array.shape[1:])
    for token in range(array.shape[1]):
        for weight, layer in zip(weights, array.astype("f8"), strict=True):
            vector = layer[token]
            if layer_norm:
                vector = (vector - vector.mean()) / np.sqrt(vector.var() + 1e-5)
            result[token] += float(gamma[0]) * weight * vector
    return result


def test_starts_as_the_mean_of_the_layers(layers):
    mixed = scalar_mix().predict(layers)
    assert_allclose(mixed[0], layers[0].mean(axis=0), atol=1e-6)
    assert mixed[1].shape == (0, 4)


@pytest.mark.parametrize("layer_norm", [False, True])
def test_mixes_by_the_formula_of_the_paper(layers, layer_norm):
    model = learned_mix(layer_norm)
    expected = slow_mix(layers[0], model.get_param("s"), model.get_param("gamma"), layer_norm)
    assert_allclose(model.predict(layers)[0], expected, atol=1e-5)
    assert not model.predict(layers)[0][2].any()


def test_starts_from_what_it_is_given(layers):
    start = ScalarMixConfig(weights=(0.3, -1.0, 0.7), gamma=1.7)
    model = scalar_mix()
    start_mix(model, start)
    assert_allclose(model.predict(layers)[0], learned_mix().predict(layers)[0])


def test_a_start_changes_neither_what_was_learned_nor_fixed_weights(layers):
    start = ScalarMixConfig(weights=(9.0, 0.0, 0.0), gamma=9.0)
    for model in (learned_mix(), scalar_mix([0, 0, 1])):
        before = model.predict(layers)[0]
        start_mix(model, start)
        assert_allclose(model.predict(layers)[0], before)


def test_a_start_for_another_number_of_layers_replaces_what_was_learned():
    model = learned_mix()
    start_mix(model, ScalarMixConfig(weights=(1.0, 2.0), gamma=3.0))
    assert model.get_param("s").tolist() == [1.0, 2.0]
    assert model.get_param("gamma").tolist() == [3.0]


def test_fixed_weights_are_used_as_they_are_and_have_no_parameters(layers):
    model = scalar_mix([0, 0, 1])
    model.initialize(X=layers)
    assert_allclose(model.predict(layers)[0], layers[0][2])
    assert not model.param_names
    _, backprop = model.begin_update(layers)
    d_layers = backprop([np.ones((5, 4), "f"), np.ones((0, 4), "f")])
    assert_allclose(d_layers[0], np.stack([np.zeros((5, 4)), np.zeros((5, 4)), np.ones((5, 4))]))


@pytest.mark.parametrize("layer_norm", [False, True])
def test_gradients_are_those_of_finite_differences(layers, layer_norm):
    model = learned_mix(layer_norm)
    rng = np.random.default_rng(1)
    d_mixed = [rng.normal(size=(x.shape[1], 4)).astype("f") for x in layers]
    _, backprop = model.begin_update(layers)
    d_layers = backprop(d_mixed)

    def loss(s, gamma, array):
        return float((slow_mix(array, s, gamma, layer_norm) * d_mixed[0]).sum())

    values = [model.get_param("s"), model.get_param("gamma"), layers[0]]
    gradients = [model.get_grad("s"), model.get_grad("gamma"), d_layers[0]]
    values = [value.astype("f8") for value in values]
    for i, gradient in enumerate(gradients):
        for index in np.ndindex(*values[i].shape):
            if i == 2 and index[1] == 2 and layer_norm:
                continue  # the norm of a zero vector is too steep for a difference
            losses = []
            for step in (1e-5, -1e-5):
                moved = [value.copy() for value in values]
                moved[i][index] += step
                losses.append(loss(*moved))
            assert gradient[index] == pytest.approx((losses[0] - losses[1]) / 2e-5, abs=2e-4)


def test_dropout_zeroes_a_share_in_training_only_and_scales_the_rest():
    ones = [np.ones((3, 100, 100), "f")]
    model = scalar_mix(dropout=0.25)
    assert (model.predict(ones)[0] == 1).all()
    mixed, backprop = model.begin_update(ones)
    dropped = mixed[0] == 0
    assert 0.2 < dropped.mean() < 0.3
    assert_allclose(mixed[0][~dropped], 1 / 0.75, rtol=1e-5)
    d_layers = backprop([np.ones((100, 100), "f")])
    assert ((d_layers[0] == 0) == dropped).all()


@pytest.mark.parametrize("dropout", [-0.1, 1.0])
def test_impossible_dropout_is_an_error(dropout):
    with pytest.raises(ValueError, match="dropout"):
        scalar_mix(dropout=dropout)


def test_wrong_number_of_weights_is_an_error(layers):
    with pytest.raises(ValueError, match="2 weights.*3 layers"):
        scalar_mix([0.5, 0.5]).predict(layers)


def test_learned_values_survive_bytes(layers):
    model = learned_mix()
    copy = scalar_mix().from_bytes(model.to_bytes())
    assert_allclose(copy.predict(layers)[0], model.predict(layers)[0])


@pytest.mark.parametrize("with_sample", [True, False])
def test_initialize_starts_from_the_mean_again(layers, with_sample):
    model = learned_mix()
    Y, backprop = model.begin_update(layers)
    backprop(Y)
    model.initialize(X=layers if with_sample else None)
    assert_allclose(model.predict(layers)[0], layers[0].mean(axis=0), atol=1e-6)
    assert not model.has_grad("s") or not model.get_grad("s").any()


def test_no_docs():
    mixed, backprop = scalar_mix().begin_update([])
    assert mixed == [] and backprop([]) == []


def test_layers_side_by_side(layers):
    model = scalar_mix(combine="concatenate")
    combined, backprop = model.begin_update(layers)
    assert [y.shape for y in combined] == [(5, 12), (0, 12)]
    for token in range(5):
        assert combined[0][token].tolist() == [*layers[0][:, token].flatten()]
    # The gradient of a sum of products is the other factor.
    d_combined = [np.random.default_rng(1).normal(size=y.shape).astype("f") for y in combined]
    d_layers = backprop(d_combined)
    assert [d.shape for d in d_layers] == [x.shape for x in layers]
    for token in range(5):
        assert d_combined[0][token].tolist() == [*d_layers[0][:, token].flatten()]
    assert model.param_names == ()


def test_layers_side_by_side_are_normalized_one_by_one(layers):
    combined = scalar_mix(combine="concatenate", layer_norm=True).predict(layers)[0]
    alone = [scalar_mix([1.0], layer_norm=True).predict([x[None]])[0] for x in layers[0]]
    assert_allclose(combined, np.concatenate(alone, axis=1), atol=1e-6)


@pytest.mark.parametrize("arguments", [{"weights": [1.0, 0.0, 0.0]}, {"combine": "both"}])
def test_what_does_not_fit_layers_side_by_side_is_an_error(arguments):
    with pytest.raises(ValueError, match="combine"):
        scalar_mix(**{"combine": "concatenate", **arguments})
