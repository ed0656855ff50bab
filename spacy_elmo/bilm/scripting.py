"""Functions whose loops run outside the Python interpreter."""

import warnings
from collections.abc import Callable
from functools import update_wrapper
from threading import Lock
from typing import Any, Optional, TypeVar

import torch

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

_conditions: list[tuple[Callable[..., Any], Callable[[], bool]]] = []
_one_at_a_time = Lock()


class scripted:
    """Compile a function to TorchScript when it is first called: its steps follow each other
    without Python between them, and threads that run it don't wait for each other. It needs no
    compiler on the machine, which ``torch.compile``, recommended in its place, does.

    Where PyTorch can't compile it, Python runs the function, which takes longer: in a program that
    was shipped without its source, or with a PyTorch that has no TorchScript any more.

    function: Called with positional arguments.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.compiled: Optional[Callable[..., Any]] = None
        update_wrapper(self, function)

    def __call__(self, *args: Any) -> Any:
        """Call the function."""
        if self.compiled is None:
            with _one_at_a_time:
                self.compiled = self.compiled or _compile(self.function)
        return self.compiled(*args)


def only_if(condition: Callable[[], bool]) -> Callable[[FunctionT], FunctionT]:
    """Show a function to TorchScript only under a condition. TorchScript looks up operators when it
    compiles, also those of calls that are never reached: it must not see one that PyTorch doesn't
    have here.

    condition: Asked when a function is compiled that calls this one.
    RETURNS: A decorator that leaves the function as it is.
    """

    def decorate(function: FunctionT) -> FunctionT:
        _conditions.append((function, condition))
        return function

    return decorate


def _compile(function: Callable[..., Any]) -> Callable[..., Any]:
    try:
        for called, condition in _conditions:
            if not condition():
                torch.jit.unused(called)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated")
            return torch.jit.script(function)
    except Exception:  # whatever stands in the way, Python can do it
        return function
