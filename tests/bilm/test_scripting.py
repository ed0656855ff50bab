import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from spacy_elmo.bilm import packed_network, recurrence, scripting
from spacy_elmo.bilm.scripting import only_if, scripted
from spacy_elmo.pretraining.learning import sampled_softmax


def count(n: int) -> int:
    total = 0
    for i in range(n):
        total += i
    return total


def test_a_function_is_compiled_when_it_is_called():
    function = scripted(count)
    assert function.compiled is None
    assert function(5) == 10
    assert isinstance(function.compiled, torch.jit.ScriptFunction)
    assert function.__name__ == "count"


def test_a_function_without_source_runs_in_python():
    """As in programs that are shipped as byte code."""
    namespace = {"__name__": __name__}
    exec("def double(x):\n    return 2 * x", namespace)
    double = scripted(namespace["double"])
    assert double(4) == 8


def test_threads_that_call_it_first_compile_it_once(monkeypatch):
    compilations = []
    compile_ = scripting._compile

    def note(function):
        compilations.append(function)
        return compile_(function)

    monkeypatch.setattr(scripting, "_compile", note)
    function = scripted(count)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(function, range(8))) == [count(n) for n in range(8)]
    assert compilations == [count]


def test_compiling_warns_of_nothing_and_silences_nothing_else():
    """Not even where warnings are errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        filters = list(warnings.filters)
        function = scripted(count)
        assert function(5) == 10
        assert isinstance(function.compiled, torch.jit.ScriptFunction)
        assert warnings.filters == filters


@pytest.mark.parametrize("condition", [False, True])
def test_what_must_not_be_seen(monkeypatch, condition):
    monkeypatch.setattr(scripting, "_conditions", [])

    @only_if(lambda: condition)
    def missing(n: int) -> int:
        return torch.ops.spacy_elmo.is_not_there(n)

    @scripted
    def calls(n: int, there: bool) -> int:
        if there:
            return missing(n)
        return n + 1

    assert calls(1, False) == 2
    assert isinstance(calls.compiled, torch.jit.ScriptFunction) != condition


OURS = [
    packed_network._run_steps,
    recurrence._forward_steps,
    recurrence._backward_steps,
    sampled_softmax._losses,
]


@pytest.mark.parametrize("function", OURS)
def test_our_loops_can_be_compiled(function):
    """Else they would run in Python, and nobody would see it."""
    assert isinstance(scripting._compile(function.function), torch.jit.ScriptFunction)


@pytest.mark.slow
@pytest.mark.parametrize("command", [["-c", "import spacy_elmo"], ["-m", "spacy", "--help"]])
def test_nothing_is_compiled_or_printed_at_import(command):
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not done.stderr
