"""``python -m spacy elmo pretrain``"""

import os
from pathlib import Path
from typing import Optional

import typer
from spacy.cli._util import import_code, parse_config_overrides, show_validation_error
from spacy.util import load_config
from wasabi import msg

from ..pretraining.checkpoints import last_checkpoint
from ..pretraining.learning import Diverged, join_processes
from ..pretraining.results import LAST
from ..pretraining.run import CHECKPOINTS, Run, holds_run
from ..pretraining.settings import resolve


def pretrain(
    ctx: typer.Context,
    config_path: Path = typer.Argument(..., help="Path to config file", exists=True),
    output: Path = typer.Option(..., "--output", "-o", help="Folder of the run"),
    resume: bool = typer.Option(
        False, "--resume", "-r", help="Go on from the last checkpoint in the folder"
    ),
    code: Optional[Path] = typer.Option(
        None, "--code", "-c", help="Python file with registered functions to be imported"
    ),
    no_softmax: bool = typer.Option(
        False, "--no-softmax", help="Leave the softmax out of the finished biLM"
    ),
    gpu_id: int = typer.Option(-1, "--gpu-id", "-g", help="GPU ID or -1 for CPU"),
) -> None:
    """Train a biLM from raw text.

    Settings of the config are overridden as in 'spacy train': --paths.train text.jsonl.gz. On
    several devices or machines, start it with 'torchrun --nproc-per-node 8 -m spacy elmo
    pretrain …'.

    With weights to go on from (--paths.source), the biLM has their shape, and [bilm] of the config
    isn't read. With --resume, shape and vocabulary are those of the checkpoint. An interrupt
    (Ctrl-C) writes a checkpoint; a second one ends training at once.
    """
    try:
        overrides = parse_config_overrides(ctx.args)
        import_code(code)
        with show_validation_error(config_path), join_processes(gpu_id) as processes:
            raw = load_config(config_path, overrides=overrides, interpolate=False)
            settings = resolve(raw, code)
            if not resume and holds_run(output):
                raise ValueError(
                    f"{output} holds a run. --resume goes on with it; a new one takes another "
                    "folder."
                )
            processes.wait()
            output.mkdir(parents=True, exist_ok=True)
            run = Run(settings, output, processes, keep_softmax=not no_softmax)
            run.start(resume)
            if processes.is_first:
                raw.to_disk(output / "config.cfg")
            _train(run)
            if processes.is_first:
                msg.good(f"Trained {output / LAST}")
    except KeyboardInterrupt:
        msg.warn(f"Interrupted. The same command with --resume goes on: {output}", exits=130)
    except (ValueError, ImportError, OSError) as error:
        msg.fail(f"Can't pretrain in {output}", str(error), exits=1)


def _train(run: Run) -> None:
    # Each number of distinct words is a shape of its own to oneDNN, which would keep up to 1,024
    # prepared products in memory; it reads this before its first one.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "32")
    try:
        run.train()
    except (OSError, Diverged) as error:
        checkpoint = last_checkpoint(run.output / CHECKPOINTS)
        hint = "" if checkpoint is None else f" --resume goes on from {checkpoint}."
        msg.fail(f"Training in {run.output} ended", f"{error}{hint}", exits=1)
