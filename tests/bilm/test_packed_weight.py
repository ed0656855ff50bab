import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_elmo.bilm import packed_weight
from spacy_elmo.bilm.kernels import has_onednn
from spacy_elmo.bilm.packed_weight import linear, pack_weight, round_up

CPU = torch.device("cpu")
PRECISIONS = ["float32", "bfloat16", "int8"]
ONEDNN = [
    pytest.param(precision, marks=pytest.mark.skipif(not has_onednn(CPU, precision), reason="none"))
    for precision in PRECISIONS
]
# Half the distance of neighbouring numbers, relative.
FLOAT32, BFLOAT16 = 2.0**-24, 2.0**-8


@pytest.fixture(params=["onednn", "plain"])
def pack(request, monkeypatch):
    """Packs a weight for either kind of kernel."""
    kind = request.param

    def pack(weight, precision):
        if kind == "plain":
            monkeypatch.setattr(packed_weight, "has_onednn", lambda device, precision: False)
        elif not has_onednn(CPU, precision):
            pytest.skip("this machine doesn't have it")
        packed = pack_weight(weight, precision)
        kinds = {kind, "blocks"} if (kind, precision) == ("onednn", "bfloat16") else {kind}
        assert packed.kernel in {f"{name} {precision}" for name in kinds}
        return packed

    return pack


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def bfloat16(array):
    """Rounded to 8 significant bits, ties to even; by the bits of a float32."""
    bits = np.ascontiguousarray(array, "f4").view("u4").astype("u8")
    rounded = (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000
    return rounded.astype("u4").view("f4").astype(float)


def int8(array):
    """Each row in 127 steps to either side, by its largest value."""
    array = np.asarray(array, "f4")
    step = np.abs(array).max(axis=1, keepdims=True) / np.float32(127)
    step[step == 0] = 1
    return np.rint(array / step).astype(float) * step


ROUNDED = {"float32": lambda array: np.asarray(array, float), "bfloat16": bfloat16, "int8": int8}


def check(y, x, weight, precision, bias=0.0):
    """Against a product in float64 of what the precision makes of x and weight."""
    x, weight = ROUNDED[precision](x), ROUNDED[precision](weight)
    expected = x @ weight.T
    # A sum's rounding errors are relative to the sum of its absolute parts.
    bound = 64 * FLOAT32 * (np.abs(x) @ np.abs(weight).T + np.abs(bias)) + 1e-30
    if precision == "bfloat16":
        bound = bound + BFLOAT16 * np.abs(expected)
    assert y.dtype == torch.float32
    assert (np.abs(y.double().numpy() - expected - bias) <= bound).all()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(
    ("n_rows", "in_features", "out_features"), [(1, 1, 1), (5, 7, 3), (70, 96, 64), (33, 20, 130)]
)
def test_equals_a_product_of_rounded_numbers(
    pack, precision, bias, n_rows, in_features, out_features
):
    x, weight = random(n_rows, in_features), random(out_features, in_features, seed=1)
    b = random(out_features, seed=2) if bias else None
    y = linear(x, pack(weight, precision), b)
    assert y.shape == (n_rows, out_features)
    check(y, x, weight, precision, 0.0 if b is None else b.numpy())


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("scale", [1e-20, 1e-4, 1e4, 1e16])
def test_rows_of_different_sizes(pack, precision, scale):
    """Neither a large row nor a large weight makes others less exact. One row is of zeros."""
    x, weight = random(6, 32), random(40, 32, seed=1)
    x[1] *= scale
    x[4] = 0
    weight[3] *= scale
    weight[5] = 0
    y = linear(x, pack(weight, precision))
    check(y, x, weight, precision)
    assert not y[4].any() and not y[:, 5].any()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_smallest_and_the_largest_numbers(pack, precision):
    packed = pack(torch.eye(32) * torch.finfo(torch.float32).tiny, precision)
    tiny = torch.full((3, 32), 1e-38)
    assert linear(tiny, packed).abs().max() <= 1e-37
    largest = torch.full((3, 32), 3e38)
    y = linear(largest, pack(torch.eye(32), precision))
    assert ((y - 3e38).abs() <= 3e38 / 64).all()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_what_is_not_a_number_stays_seen(pack, precision):
    """In its row, and nowhere else."""
    x = random(4, 32)
    x[2, 7] = float("nan")
    y = linear(x, pack(random(64, 32, seed=1), precision))
    assert y.isnan().all(dim=1).tolist() == [False, False, True, False]
    assert y[[0, 1, 3]].isfinite().all()


@pytest.mark.parametrize(
    ("precision", "relative"), [("float32", 1e-6), ("bfloat16", 2 * BFLOAT16), ("int8", 1e-5)]
)
def test_plain_kernels_give_the_same(monkeypatch, precision, relative):
    if not has_onednn(CPU, precision):
        pytest.skip("nothing to compare with")
    x, weight, bias = random(50, 512), random(128, 512, seed=1), random(128, seed=2)
    y = linear(x, pack_weight(weight, precision), bias)
    monkeypatch.setattr(packed_weight, "has_onednn", lambda device, precision: False)
    plain = linear(x, pack_weight(weight, precision), bias)
    assert (y - plain).abs().max() <= relative * y.abs().max()


@pytest.fixture(scope="module")
def whole():
    """Random rows, weights of several shapes and their products, in each precision."""
    cases = []
    for precision in PRECISIONS:
        if has_onednn(CPU, precision):
            for out_features, in_features in [
                (64, 32),
                (32, 48),
                (512, 128),
                (128, 512),
                (512, 512),
            ]:
                packed = pack_weight(random(out_features, in_features, seed=1), precision)
                x = random(300, in_features)
                cases.append((packed, x, linear(x, packed)))
    return cases


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 299), st.data())
def test_a_row_has_the_same_result_whatever_is_beside_it(whole, n_rows, data):
    """To the last bit, however many rows there are. Widths are multiples of 16 at least."""
    start = data.draw(st.integers(0, 300 - n_rows))
    for packed, x, expected in whole:
        y = linear(x[start : start + n_rows], packed)
        assert torch.equal(y, expected[start : start + n_rows]), packed.kernel


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_layout_of_the_input_does_not_matter(pack, precision):
    packed = pack(random(64, 32, seed=1), precision)
    x = random(40, 32)
    columns, gaps = x.t().contiguous().t(), torch.stack([x, -x], dim=2)[:, :, 0]
    assert not columns.is_contiguous() and not gaps.is_contiguous()
    expected = linear(x, packed)
    assert torch.equal(linear(columns, packed), expected)
    assert torch.equal(linear(gaps, packed), expected)
    same = linear(x[:1].expand(40, 32), packed)
    torch.testing.assert_close(same, expected[:1].expand(40, 64), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_no_rows(pack, precision):
    packed = pack(random(64, 32), precision)
    assert linear(torch.empty(0, 32), packed, torch.ones(64)).shape == (0, 64)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("n_rows", [1, 32, 33])
def test_neither_arguments_nor_earlier_results_are_written_to(pack, precision, n_rows):
    x, weight, bias = random(n_rows, 32), random(64, 32, seed=1), random(64, seed=2)
    before = [tensor.clone() for tensor in (x, weight, bias)]
    packed = pack(weight, precision)
    first = linear(x, packed, bias)
    kept = first.clone()
    linear(x, packed, bias).zero_()
    assert torch.equal(first, kept)
    assert torch.equal(linear(x, packed, bias), kept)
    assert all(map(torch.equal, (x, weight, bias), before))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_packed_weight_is_a_copy(pack, precision):
    x, weight = random(4, 32), random(64, 32, seed=1)
    packed = pack(weight, precision)
    before = linear(x, packed)
    weight.zero_()
    if packed.kernel == "plain float32":
        assert not linear(x, packed).any()  # without a layout of its own, it is the weight
    else:
        assert torch.equal(linear(x, packed), before)


def test_few_numbers_of_rows_are_near_all_others():
    numbers = {round_up(n) for n in range(4097)}
    assert len(numbers) < 160
    assert min(numbers) == 2
    for n in range(2, 4097):
        assert n <= round_up(n) <= n * 17 / 16
        assert round_up(round_up(n)) == round_up(n)


SATURATING = """
import torch
from spacy_elmo.bilm.packed_weight import linear, pack_weight
x, weight = torch.full((2, 64), 3.0), torch.full((32, 64), 0.5)
print(linear(x, pack_weight(weight, "int8"))[0, 0].item())
"""


@pytest.mark.slow
def test_int8_products_are_right_on_processors_without_vnni():
    """oneDNN can be told to use no newer instructions; large products then saturate."""
    env = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"}
    run = subprocess.run(
        [sys.executable, "-c", SATURATING], env=env, check=True, capture_output=True, text=True
    )
    assert float(run.stdout) == pytest.approx(3 * 0.5 * 64, rel=1e-5)
