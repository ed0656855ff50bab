import torch

from spacy_elmo.bilm.scripting import scripted


def count(n: int) -> int:
    total = 0
    for i in range(n):
        total += i
    return total


def test_a_function_is_compiled():
    compiled = scripted(count)
    assert isinstance(compiled, torch.jit.ScriptFunction)
    assert compiled(5) == 10


def test_a_function_without_source_runs_in_python():
    """As in programs that are shipped as byte code."""
    namespace = {"__name__": __name__}
    exec("def double(x):\n    return 2 * x", namespace)
    double = scripted(namespace["double"])
    assert double(4) == 8
