import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from spacy_elmo.formats import StoredDType, read_native, write_native
from spacy_elmo.formats.quantized import SCALE, dequantize, quantize

MATRICES = npst.arrays(
    np.float32,
    npst.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=6),
    elements=st.floats(-1e6, 1e6, width=32),
)


@given(MATRICES)
def test_each_value_is_within_half_a_step_of_its_row(matrix):
    stored = quantize({"w": torch.from_numpy(matrix), "b": torch.ones(3)})
    assert stored["w"].dtype == torch.int8 and stored["b"].dtype == torch.float16
    back = dequantize(stored, "here")
    assert set(back) == {"w", "b"}
    for row, expected in zip(back["w"].numpy(), matrix, strict=True):
        step = max(abs(expected).max() / 127, np.finfo("f").tiny)
        assert abs(row.astype("f8") - expected).max() <= step * 0.5001


def test_a_stored_biLM_is_a_quarter_and_nearly_the_same(make_network, tmp_path):
    network = make_network()
    sizes = {}
    dtype: StoredDType
    for dtype in ("float32", "int8"):
        write_native(network, tmp_path / dtype, dtype)
        sizes[dtype] = (tmp_path / dtype / "model.safetensors").stat().st_size
    back = read_native(tmp_path / "int8").state_dict()
    for name, tensor in network.state_dict().items():
        assert back[name].dtype == torch.float32
        assert (back[name] - tensor).abs().max() <= tensor.abs().max() / 127 * 0.51
    assert sizes["int8"] < sizes["float32"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"w" + SCALE: torch.ones(2)},
        {"w": torch.ones(2, 3), "w" + SCALE: torch.ones(2)},
        {"w": torch.ones(2, 3, dtype=torch.int8), "w" + SCALE: torch.ones(3)},
        {"w": torch.ones(2, 3, dtype=torch.int8), "w" + SCALE: torch.ones(2).half()},
    ],
)
def test_steps_without_their_matrix_are_an_error(wrong):
    with pytest.raises(ValueError, match=r"w:scale"):
        dequantize(wrong, "here")
