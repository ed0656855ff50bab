"""The training loop."""

import math
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Optional, Union

import torch
from torch import Tensor

from ...bilm.kernels import has_onednn
from ...bilm.lstm import LSTMState
from ...bilm.threads import one_thread
from ..corpus import Batches
from ..distillation import SentenceBatches
from .gradients import clip_gradients
from .language_model import LanguageModel
from .optimizers import Optimizer
from .processes import Processes
from .step import Losses, TrainingStep


class Diverged(Exception):
    """The loss of several steps in a row, or a weight, wasn't finite."""


@dataclass
class Progress:
    """How far a run is; the same in all processes.

    steps: Steps so far, skipped ones included.
    words: Tokens read so far, by all processes.
    seconds: Time of training so far.
    skipped: Steps that were left out because loss or gradient wasn't finite.
    skipped_in_a_row: The last ones of them.
    loss_sums: Sums of the losses (``Losses``) since they were last taken.
    n_losses: Steps in these sums.
    """

    steps: int = 0
    words: int = 0
    seconds: float = 0.0
    skipped: int = 0
    skipped_in_a_row: int = 0
    loss_sums: tuple[float, ...] = (0.0, 0.0, 0.0)
    n_losses: int = 0

    def take_losses(self) -> Losses:
        """The mean losses since the last call; NaN if there were none."""
        n = self.n_losses
        means = [loss / n if n else math.nan for loss in self.loss_sums]
        self.loss_sums, self.n_losses = (0.0, 0.0, 0.0), 0
        return Losses(*means)


class Trainer:
    """Trains a language model, batch by batch.

    model: What is trained. All processes get the first one's weights.
    batches: This process's part of the text.
    compute: Computes gradients.
    optimizer: Updates the model.
    processes: Those of the run.
    max_grad_norm: Largest norm of all gradients together; None for no limit.
    max_skipped: So many steps in a row whose loss or gradient isn't finite end training.
    """

    def __init__(
        self,
        model: LanguageModel,
        batches: Union[Batches, SentenceBatches],
        compute: TrainingStep,
        optimizer: Optimizer,
        processes: Processes,
        *,
        max_grad_norm: Optional[float],
        max_skipped: int,
    ) -> None:
        self.model, self.batches, self.compute = model, batches, compute
        self.optimizer, self.processes = optimizer, processes
        self.max_grad_norm, self.max_skipped = max_grad_norm, max_skipped
        self.progress = Progress()
        self.learn_rate = math.nan
        processes.send_parameters(model)

    def step(self) -> None:
        """Train on one batch of each process.

        RAISES Diverged: This was one step too many whose loss or gradient wasn't finite. None of
            them changed the weights.
        """
        start = time.perf_counter()
        progress = self.progress
        batch = self.batches.next()
        losses = self.compute(batch)
        self.processes.average_gradients(self.model)
        with one_thread():
            norm = clip_gradients(self.model.parameters(), self.max_grad_norm)
        *sums, n_tokens = self.processes.sum([*losses, batch.inputs.shape[1]])
        n = self.processes.world_size
        # Losses and gradients are everyone's now, so all processes decide alike.
        if all(map(math.isfinite, [*sums, norm])):
            with one_thread():
                self.learn_rate = self.optimizer.step(progress.steps)
            before = progress.loss_sums
            progress.loss_sums = tuple(b + s / n for b, s in zip(before, sums, strict=True))
            progress.n_losses += 1
            progress.skipped_in_a_row = 0
        else:
            self.compute.states = None  # they may be what isn't finite
            progress.skipped += 1
            progress.skipped_in_a_row += 1
        progress.steps += 1
        progress.words += int(n_tokens)
        progress.seconds += time.perf_counter() - start
        if progress.skipped_in_a_row >= self.max_skipped:
            raise Diverged(
                f"The loss of {progress.skipped_in_a_row} steps in a row, up to step "
                f"{progress.steps:,}, wasn't finite. {_ADVICE}"
            )

    def check_weights(self) -> None:
        """RAISES Diverged: A weight isn't finite: an update was too large."""
        for name, parameter in self.model.named_parameters():
            if not parameter.isfinite().all():
                raise Diverged(
                    f"'{name}' holds weights that aren't finite, after step "
                    f"{self.progress.steps:,}. {_ADVICE}"
                )

    def state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """This process's own state, as JSON and as tensors: the place in the text, the LSTMs'
        states and random numbers."""
        tensors = {f"generator.{i}": g.get_state() for i, g in enumerate(self.compute.generators)}
        for name, layer in self._layers():
            tensors[f"{name}.hidden"] = layer.hidden.contiguous()
            tensors[f"{name}.cell"] = layer.cell.contiguous()
        state = {
            "batches": self.batches.state(),
            "random": self.compute.random.bit_generator.state,
        }
        return state, tensors

    def set_state(self, state: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        """Go on with what ``state()`` gave. On another kind of device, dropout takes other random
        numbers: the generators of one can't go on from the states of the other.

        RAISES KeyError: Something is missing.
        """
        self.batches.set_state(state["batches"])
        self.compute.random.bit_generator.state = state["random"]
        for i, generator in enumerate(self.compute.generators):
            stored = tensors[f"generator.{i}"]
            if stored.shape == generator.get_state().shape:  # each kind has a size of its own
                generator.set_state(stored)
            else:
                generator.manual_seed(int(self.compute.random.integers(2**63)))
        self.compute.states = None
        if any(name.startswith("lstm.") for name in tensors):
            n_layers = self.model.network.config.lstm.n_layers
            device = self.compute.device
            forward, backward = (
                [
                    LSTMState(
                        *(tensors[f"lstm.{direction}.{i}.{part}"].to(device) for part in _PARTS)
                    )
                    for i in range(n_layers)
                ]
                for direction in range(2)
            )
            self.compute.states = (forward, backward)

    def _layers(self) -> Iterator[tuple[str, LSTMState]]:
        for direction, layers in enumerate(self.compute.states or ()):
            for i, layer in enumerate(layers):
                yield f"lstm.{direction}.{i}", layer


_PARTS = ("hidden", "cell")
_ADVICE = (
    "A lower learn_rate, a lower max_grad_norm or clips of the LSTMs (cell_clip, proj_clip) may "
    "help."
)


def default_precision(device: torch.device) -> bool:
    """Whether mixed precision pays: where the device has instructions for bfloat16."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if not has_onednn(device, "bfloat16"):
        return False
    # Of x86 processors, oneDNN asks for AVX-512 alone, which would compute in float32 after all.
    # PyTorch's answer is an operator of its own: without it, float32, which is never wrong.
    has_instructions = getattr(torch.cpu, "_is_avx512_bf16_supported", bool)
    return platform.machine() not in ("x86_64", "AMD64") or has_instructions()
