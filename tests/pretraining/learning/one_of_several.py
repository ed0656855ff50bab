"""What each process of ``torchrun`` does in test_processes.py.

usage: torchrun … one_of_several.py FOLDER
"""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn
from training_parts import make_trainer

from spacy_elmo.pretraining.learning.processes import Processes, join_processes
from spacy_elmo.pretraining.learning.trainer import Diverged

N_STEPS = 12
NAN_STEPS = (3, 7)  # of one process alone


def main() -> None:
    torch.set_num_threads(1)
    with join_processes() as processes:
        results = messages(processes)
        trainer = make_trainer(processes, seed=processes.rank)  # first one's weights count
        train(trainer, N_STEPS, "plain", results)
        trainer = make_trainer(processes)
        train(trainer, N_STEPS, "nan", results, broken=NAN_STEPS if processes.rank == 1 else ())
        results["skipped"] = trainer.progress.skipped
        trainer = make_trainer(processes, carry_state=True, dropout=0.3, n_samples=10)
        train(trainer, N_STEPS, "unbroken", results)
        trainer = make_trainer(processes, carry_state=True, dropout=0.3, n_samples=10)
        train(trainer, 5, "first", results)
        resumed = make_trainer(processes, carry_state=True, dropout=0.3, n_samples=10)
        resumed.model.load_state_dict(trainer.model.state_dict())
        resumed.optimizer.set_tensors(trainer.optimizer.tensors())
        resumed.progress = trainer.progress
        resumed.set_state(*trainer.state())
        train(resumed, N_STEPS - 5, "resumed", results)
        trainer = make_trainer(processes)
        results["diverged"] = diverge(trainer, broken=processes.rank == 0)
    results["threads"] = thread_names()
    np.savez(Path(sys.argv[1]) / f"rank-{processes.rank}.npz", **results)


def thread_names() -> list[str]:
    """Of all threads of this process, PyTorch's too; none where there is no /proc."""
    return [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]


def messages(processes: Processes) -> dict:
    """Sums, and gradients before and after they are averaged."""
    rank = processes.rank
    random = np.random.default_rng(rank)
    module = nn.ParameterList([nn.Parameter(torch.zeros(size)) for size in [(2, 3), (4,), (9, 2)]])
    module[0].grad = torch.from_numpy(random.normal(size=(2, 3))).float()
    module[1].grad = torch.from_numpy(random.normal(size=4)).float()
    # The second process has more rows, and both have some twice.
    rows = [[5, 2, 5], [8, 2, 2, 7, 1, 8]][rank]
    values = torch.from_numpy(random.normal(size=(len(rows), 2))).float()
    module[2].grad = torch.sparse_coo_tensor(
        torch.tensor([rows]), values, (9, 2), check_invariants=True
    )
    results = {f"before.{i}": p.grad.to_dense().numpy().copy() for i, p in enumerate(module)}
    processes.average_gradients(module)
    for i, parameter in enumerate(module):
        results[f"after.{i}"] = parameter.grad.to_dense().numpy()
    results["rows"] = module[2].grad.coalesce().indices()[0].numpy()
    results["sums"] = processes.sum([rank + 1, 0.5, float("nan") if rank else 1.0])
    return results


def train(trainer, n_steps, name, results, broken=()) -> None:
    """Keeps each step's losses and the weights at the end."""
    compute, losses = trainer.compute, []
    for step in range(n_steps):
        if step in broken:
            spoil(trainer)
        trainer.step()
        sums = trainer.progress.take_losses()
        losses.append([*sums, trainer.compute.states is None])
    results[f"{name}.losses"] = losses
    weights = [p.detach().flatten() for p in trainer.model.parameters()]
    results[f"{name}.weights"] = torch.cat(weights).numpy()
    assert trainer.compute is compute


def spoil(trainer) -> None:
    """The next step of this process starts from a state that isn't finite, as if the last had
    run away."""
    original = trainer.compute.model.softmax.loss

    def loss(*arguments):
        trainer.compute.model.softmax.loss = original
        return original(*arguments) * float("nan")

    trainer.compute.model.softmax.loss = loss


def diverge(trainer, broken) -> bool:
    for _ in range(4):
        try:
            if broken:
                spoil(trainer)
            trainer.step()
        except Diverged:
            return trainer.progress.steps == trainer.max_skipped
    return False


if __name__ == "__main__":
    main()
