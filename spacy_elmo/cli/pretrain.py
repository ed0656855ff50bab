"""``python -m spacy elmo pretrain``"""

from pathlib import Path
from typing import Optional

import typer
from spacy.cli._util import import_code, parse_config_overrides, show_validation_error
from spacy.util import load_config
from wasabi import msg

from ..pretraining.processes import join_processes
from ..pretraining.run import LAST, Run
from ..pretraining.settings import resolve
from ..pretraining.trainer import Diverged


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
    """
    try:
        overrides = parse_config_overrides(ctx.args)
        import_code(code)
        with show_validation_error(config_path), join_processes(gpu_id) as processes:
            raw = load_config(config_path, overrides=overrides, interpolate=False)
            settings = resolve(raw)
            if not resume and (output / "checkpoints").exists():
                raise ValueError(
                    f"{output} holds a run. --resume goes on with it; a new one takes another "
                    "folder."
                )
            processes.wait()
            if processes.is_first:
                output.mkdir(parents=True, exist_ok=True)
                raw.to_disk(output / "config.cfg")
            run = Run(settings, output, processes, keep_softmax=not no_softmax)
            run.start(resume)
            run.train()
            if processes.is_first:
                msg.good(f"Trained {output / LAST}")
    except KeyboardInterrupt:
        msg.warn(f"Interrupted. The same command with --resume goes on: {output}", exits=130)
    except (ValueError, OSError, ImportError, Diverged) as error:
        msg.fail(f"Can't pretrain in {output}", str(error), exits=1)
