import subprocess
import sys

import pytest
import torch

from spacy_elmo.bilm import kernels
from spacy_elmo.bilm.kernels import has_onednn, product

CPU = torch.device("cpu")
PRECISIONS = ["float32", "bfloat16", "int8"]


@pytest.fixture
def tried_anew():
    """What works is found out once a process."""
    kernels._works.cache_clear()
    yield
    kernels._works.cache_clear()


def test_only_a_cpu_has_onednns_kernels():
    for precision in PRECISIONS:
        assert not has_onednn(torch.device("meta"), precision)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_products_of_weights_that_change(dtype):
    numbers = torch.Generator().manual_seed(0)
    x, weight = (torch.randn(n, 24, generator=numbers).to(dtype) for n in (7, 40))
    expected = x.double() @ weight.double().t()
    for onednn in {False, dtype == torch.float32 and has_onednn(CPU, "float32")}:
        for rows in (x, x.t().contiguous().t()):
            y = product(rows, weight, onednn)
            assert y.dtype == dtype
            torch.testing.assert_close(y.double(), expected, rtol=1e-2, atol=torch.finfo(dtype).eps)


@pytest.mark.usefixtures("tried_anew")
def test_a_device_or_a_mode_that_is_set_does_not_matter():
    expected = [has_onednn(CPU, precision) for precision in PRECISIONS]
    kernels._works.cache_clear()
    with torch.device("meta"), torch.inference_mode():
        assert [has_onednn(CPU, precision) for precision in PRECISIONS] == expected


def refuses(*args):
    raise RuntimeError("this processor doesn't have it")


@pytest.mark.usefixtures("tried_anew")
@pytest.mark.parametrize(
    "operator",
    [
        refuses,
        lambda: None,  # other arguments
        lambda x, weight, *args: x @ weight.t().to(x.dtype) + 1,  # other numbers
    ],
)
def test_an_operator_that_changed_is_not_used(monkeypatch, operator):
    monkeypatch.setattr(kernels, "onednn_product", operator)
    assert not has_onednn(CPU, "float32") and not has_onednn(CPU, "bfloat16")
    monkeypatch.setattr(kernels, "onednn_int8_product", operator)
    kernels._works.cache_clear()
    assert not has_onednn(CPU, "int8")


# Each operator by itself, then all of one name; and PyTorch's compiler of loops.
HIDDEN = [
    "mkldnn._linear_pointwise",
    "mkldnn._reorder_linear_weight",
    "onednn.qlinear_prepack",
    "onednn.qlinear_pointwise",
    "mkldnn",
    "onednn",
    "jit.script",
]
WITHOUT = """
import sys, torch
from types import SimpleNamespace

class Without:
    def __init__(self, all, name):
        self.all, self.name = all, name
    def __getattr__(self, name):
        if name == self.name:
            raise AttributeError(name)
        return getattr(self.all, name)

path, hidden, training = sys.argv[1:]
*where, name = hidden.split(".")
if where == ["jit"]:
    del torch.jit.script
elif where:
    setattr(torch.ops, where[0], Without(getattr(torch.ops, where[0]), name))
else:
    setattr(torch.ops, name, SimpleNamespace())

from spacy_elmo import BiLM
from spacy_elmo.bilm import Engine, packed_network, recurrence
for precision in ("float32", "bfloat16", "int8"):
    bilm = BiLM.load(path, precision=precision)
    print(*(array.shape for array in bilm.embed([["He", "sat"], ["Hello"]])))
Engine(bilm.network)([["He", "sat"]])[0].sum().backward()
print(all(parameter.grad is not None for parameter in bilm.network.parameters()))
for function in (packed_network._run_steps, recurrence._forward_steps):
    print(isinstance(function.compiled, torch.jit.ScriptFunction))
"""


@pytest.mark.slow
@pytest.mark.parametrize("hidden", HIDDEN)
def test_releases_of_pytorch_without_an_operator(fixtures, tmp_path, hidden):
    """The loops are compiled all the same."""
    script = tmp_path / "script.py"
    script.write_text(WITHOUT)
    path = fixtures / "deep" / "weights.hdf5"
    done = subprocess.run(
        [sys.executable, script, path, hidden, ""], capture_output=True, text=True, check=False
    )
    compiled = str(hidden != "jit.script")
    shapes = ["(5, 2, 20) (5, 1, 20)"] * 3
    assert done.stdout.splitlines() == [*shapes, "True", compiled, compiled], done.stderr
    assert not done.stderr
