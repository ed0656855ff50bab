"""PyTorch's optimizers for the biLM's dense gradients and the softmax's sparse ones, registered for
configs. Rates come from Thinc's schedules."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Dict, Generator, List, Tuple, Union

import torch
from torch import Tensor, nn

LearnRate = Union[float, List[float], Generator]  # as Thinc's optimizers take it


class Optimizer:
    """Updates a model.

    model: Its parameters are updated.
    is_sparse: Whether the parameter of this name has sparse gradients.
    make_dense, make_sparse: Make PyTorch's optimizers for lists of parameters.
    remembers: What both remember of each parameter, by PyTorch's names.
    learn_rate: The rate, or its schedule over steps.
    """

    def __init__(
        self,
        model: nn.Module,
        is_sparse: Callable[[str], bool],
        make_dense: Callable[..., torch.optim.Optimizer],
        make_sparse: Callable[..., torch.optim.Optimizer],
        remembers: Sequence[str],
        learn_rate: LearnRate,
    ) -> None:
        named = dict(model.named_parameters())
        kinds = [
            (make_dense, [name for name in named if not is_sparse(name)]),
            (make_sparse, [name for name in named if is_sparse(name)]),
        ]
        kinds = [(make, names) for make, names in kinds if names]  # PyTorch takes no empty list
        self._names = [names for _, names in kinds]
        self._parameters = named
        self._remembers = remembers
        self._optimizers = [
            make([named[name] for name in names], lr=1.0)  # replaced at every step
            for make, names in kinds
        ]
        self._rates = _Rates(learn_rate)

    def step(self, step: int) -> float:
        """Update the parameters by their gradients.

        step: Steps before this one.
        RETURNS: The learn rate.
        """
        rate = self._rates.at(step)
        # Adagrad makes sparse tensors of ours. Without a word on checks, PyTorch warns of them.
        with torch.sparse.check_sparse_tensor_invariants(enable=False):
            for optimizer in self._optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = rate
                optimizer.step()
        return rate

    def tensors(self) -> Dict[str, Tensor]:
        """What it remembers of each parameter: ``{"exp_avg.network.…": …}``."""
        return {
            f"{key}.{name}": torch.as_tensor(value)
            for name, state in self._states()
            for key, value in state.items()
        }

    def set_tensors(self, tensors: Dict[str, Tensor]) -> None:
        """Go on with what ``tensors()`` gave.

        RAISES ValueError: They are another optimizer's.
        """
        expected = {f"{key}.{name}" for name in self._parameters for key in self._remembers}
        # Some optimizers remember nothing before their first step.
        if tensors.keys() not in (expected, self.tensors().keys()):
            raise ValueError("It was written with another optimizer or another model.")
        for names, optimizer in zip(self._names, self._optimizers, strict=True):
            state = {i: _state_of(name, tensors) for i, name in enumerate(names)}
            groups = optimizer.state_dict()["param_groups"]
            optimizer.load_state_dict({"state": state, "param_groups": groups})

    def _states(self) -> Iterator[Tuple[str, Dict[str, Any]]]:
        for names, optimizer in zip(self._names, self._optimizers, strict=True):
            for name in names:
                yield name, optimizer.state[self._parameters[name]]


OptimizerFactory = Callable[[nn.Module, Callable[[str], bool]], Optimizer]


def _state_of(parameter: str, tensors: Dict[str, Tensor]) -> Dict[str, Any]:
    state: Dict[str, Any] = {}
    for name, tensor in tensors.items():
        key, _, of = name.partition(".")
        if of == parameter:
            # Adam counts steps in a float tensor, SparseAdam in an int.
            state[key] = int(tensor) if tensor.dtype == torch.int64 else tensor
    return state


class _Rates:
    """The values of a schedule by step. Its last value stays.

    learn_rate: A schedule, which Thinc makes as a generator, or one value.
    """

    def __init__(self, learn_rate: LearnRate) -> None:
        self._values = iter([learn_rate] if isinstance(learn_rate, (int, float)) else learn_rate)
        self._n_taken = 0
        self._value = 0.0

    def at(self, step: int) -> float:
        """step: Never lower than before."""
        while self._n_taken <= step:
            self._value = float(next(self._values, self._value))
            self._n_taken += 1
        return self._value


def configure_adam(
    learn_rate: LearnRate = 0.001, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8
) -> OptimizerFactory:
    """spacy-elmo.Adam.v1: Adam (Kingma and Ba 2015). Of the softmax, only the rows that a batch
    used are updated, moments included (PyTorch's ``SparseAdam``).

    learn_rate (Union[float, List[float], Generator]): The rate, or its schedule over steps.
    beta1 (float): Decay of the mean gradient.
    beta2 (float): Decay of the mean squared gradient.
    eps (float): Keeps the denominator from zero.
    """

    def make(model: nn.Module, is_sparse: Callable[[str], bool]) -> Optimizer:
        def make_dense(parameters: Any, lr: float) -> torch.optim.Optimizer:
            return torch.optim.Adam(parameters, lr, (beta1, beta2), eps, fused=True)

        def make_sparse(parameters: Any, lr: float) -> torch.optim.Optimizer:
            return torch.optim.SparseAdam(parameters, lr, (beta1, beta2), eps)

        remembers = ("step", "exp_avg", "exp_avg_sq")
        return Optimizer(model, is_sparse, make_dense, make_sparse, remembers, learn_rate)

    return make


def configure_adagrad(
    learn_rate: LearnRate = 0.2, initial_accumulator: float = 0.0025, eps: float = 1e-10
) -> OptimizerFactory:
    """spacy-elmo.Adagrad.v1: Adagrad (Duchi et al. 2011), which by default takes bilm-tf's steps.
    There the sums of squares start at 1, for the gradients of the loss times the 20 tokens of a
    window. Ours are those of the mean loss, for which the same steps come from 1 / 20².

    learn_rate (Union[float, List[float], Generator]): The rate, or its schedule over steps.
    initial_accumulator (float): Where the sums of squared gradients start.
    eps (float): Keeps the denominator from zero.
    """

    def make(model: nn.Module, is_sparse: Callable[[str], bool]) -> Optimizer:
        def adagrad(parameters: Any, lr: float) -> torch.optim.Optimizer:
            return torch.optim.Adagrad(
                parameters, lr, initial_accumulator_value=initial_accumulator, eps=eps
            )

        return Optimizer(model, is_sparse, adagrad, adagrad, ("step", "sum"), learn_rate)

    return make
