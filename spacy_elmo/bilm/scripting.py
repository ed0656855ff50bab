"""Functions whose loops run outside the Python interpreter."""

import warnings
from collections.abc import Callable
from typing import Any

import torch


def scripted(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function to TorchScript: its steps follow each other without Python between them,
    and threads that run it don't wait for each other. It needs no compiler on the machine, which
    ``torch.compile``, recommended in its place by a warning, does. Where programs are shipped
    without their source, which it reads, Python runs the function."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            return torch.jit.script(function)
        except OSError:
            return function
