"""The processes of a run: one, or those that ``torchrun`` starts on several devices or machines."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

_TIMEOUT = timedelta(hours=1)  # one process may tokenize while the others wait


class Processes:
    """What the processes of a run have to tell each other. Each holds the whole model and computes
    the gradients of its own part of the text.

    ``DistributedDataParallel`` would wrap a module whose backward pass it can watch; here, both
    directions run backward in threads of their own, and the softmax's gradient is sparse. So
    gradients are averaged explicitly, all dense ones in one message.

    rank: This process's number.
    world_size: How many there are.
    device: What this process computes on.
    """

    def __init__(self, rank: int, world_size: int, device: torch.device) -> None:
        self.rank, self.world_size, self.device = rank, world_size, device

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.rank == 0

    def wait(self) -> None:
        """Go on when all are here."""
        if self.world_size > 1:
            dist.barrier()

    def sum(self, values: Sequence[float]) -> list[float]:
        """The sums of all processes' values, the same in each."""
        if self.world_size == 1:
            return list(values)
        # MPS and the like have no float64; NCCL wants its own device.
        total = torch.tensor(values, dtype=torch.float32, device=self.device)
        dist.all_reduce(total)
        return total.tolist()

    def send_parameters(self, module: nn.Module) -> None:
        """Give all processes the first one's parameters."""
        if self.world_size > 1:
            for parameter in module.parameters():
                dist.broadcast(parameter.detach(), 0)

    def average_gradients(self, module: nn.Module) -> None:
        """Make every gradient the mean of all processes' gradients. A process whose gradient isn't
        finite makes it so for all, so that they decide alike."""
        if self.world_size == 1:
            return
        dense = []
        for parameter in module.parameters():
            assert parameter.grad is not None
            if parameter.grad.is_sparse:
                parameter.grad = self._average_sparse(parameter.grad)
            else:
                dense.append(parameter.grad)
        flat = torch.cat([gradient.flatten() for gradient in dense])
        dist.all_reduce(flat)
        flat /= self.world_size
        for gradient, mean in zip(
            dense, flat.split([gradient.numel() for gradient in dense]), strict=True
        ):
            gradient.copy_(mean.view_as(gradient))

    def _average_sparse(self, gradient: Tensor) -> Tensor:
        """Processes have different numbers of rows. What is missing to the largest number is
        filled with zeros for the last row, which change nothing."""
        gradient = gradient.coalesce()
        rows, values = gradient._indices()[0], gradient._values()
        n_rows = torch.tensor(len(rows), device=rows.device)
        dist.all_reduce(n_rows, dist.ReduceOp.MAX)
        missing = int(n_rows) - len(rows)
        rows = torch.cat([rows, rows[-1:].expand(missing)])
        values = nn.functional.pad(values, [0, 0, 0, missing])
        all_rows = [torch.empty_like(rows) for _ in range(self.world_size)]
        all_values = [torch.empty_like(values) for _ in range(self.world_size)]
        dist.all_gather(all_rows, rows)
        dist.all_gather(all_values, values)
        return torch.sparse_coo_tensor(
            torch.cat(all_rows).unsqueeze(0),
            torch.cat(all_values) / self.world_size,
            gradient.shape,
            check_invariants=False,
        )


@contextmanager
def join_processes(gpu_id: int = -1) -> Iterator[Processes]:
    """Join the other processes of ``torchrun``, which tells of them in the environment. Without
    it, there is one.

    gpu_id: The GPU to compute on, -1 for the CPU. With ``torchrun``, any GPU stands for the one
        of the process's number on its machine.
    YIELDS: The processes.
    RAISES ValueError: There is no such GPU.
    """
    world_size = int(os.environ.get("WORLD_SIZE", 1))
    if gpu_id >= 0:
        gpu_id = int(os.environ.get("LOCAL_RANK", gpu_id))
        n_gpus = torch.cuda.device_count()
        if n_gpus == 0:
            raise ValueError("PyTorch finds no GPU. Leave out --gpu-id.")
        if gpu_id >= n_gpus:
            raise ValueError(
                f"There is no GPU {gpu_id}: PyTorch finds {n_gpus}, counted from 0. torchrun may "
                "start as many processes on a machine (--nproc-per-node) as it has GPUs."
            )
        torch.cuda.set_device(gpu_id)
    device = torch.device("cpu" if gpu_id < 0 else f"cuda:{gpu_id}")
    if world_size == 1:
        yield Processes(0, 1, device)
        return
    # The optimizer would import it later. The group would then be a default argument of its
    # functions, and its threads would outlive it: they could abort the process when Python ends.
    from torch import _dynamo  # noqa: F401

    dist.init_process_group(
        "gloo" if gpu_id < 0 else "nccl",
        timeout=_TIMEOUT,
        device_id=None if gpu_id < 0 else device,
    )
    try:
        yield Processes(dist.get_rank(), world_size, device)
    finally:
        dist.destroy_process_group()
