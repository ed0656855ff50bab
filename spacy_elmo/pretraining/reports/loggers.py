"""Loggers in spaCy's form (``@loggers``): they show what training reports.

``setup(nlp, stdout, stderr)`` begins a run and gives two functions: ``log_step``, called after
every step with ``None`` or, at an evaluation, with ``Report.info()``; and ``finalize``. They can be
joined to each other and to those of spacy-loggers with ``spacy.ChainLogger.v1``.
"""

import math
import sys
from pathlib import Path
from typing import IO, Any, Callable, Dict, Optional, Tuple

import tqdm
from spacy.language import Language
from wasabi import Printer

from .units import format_count, format_decimal, format_duration

Info = Dict[str, Any]
LogStep = Callable[[Optional[Info]], None]
Logger = Callable[[Language, IO, IO], Tuple[LogStep, Callable[[], None]]]

_COLUMNS = ("E", "#", "TOKENS", "LOSS", "PPL FWD", "PPL BWD", "TOKENS/S", "LEFT")
_WIDTHS = (3, 7, 7, 7, 8, 8, 9, 9)


def console_logger_v1(progress_bar: bool = True) -> Logger:
    """spacy-elmo.ConsoleLogger.v1: prints a row of a table at every evaluation, and a warning
    where steps were skipped. Its columns are epoch, step, tokens, training loss (mean of both
    directions), held-out perplexity of each direction, tokens a second, and the time left.

    progress_bar: Whether a bar counts the steps up to the next evaluation (setting
        ``eval_frequency`` of ``[training]``). It is shown on terminals only.
    """

    def setup(
        nlp: Language, stdout: IO = sys.stdout, stderr: IO = sys.stderr
    ) -> Tuple[LogStep, Callable[[], None]]:
        msg = Printer(no_print=True)
        eval_frequency = nlp.config["training"].get("eval_frequency")
        n_skipped = 0

        def write(text: str) -> None:
            print(text, file=stdout, flush=True)

        def write_row(cells: Tuple[str, ...]) -> None:
            write(msg.row(cells, widths=_WIDTHS, aligns=("r",) * len(_WIDTHS), spacing=2))

        def start_bar(title: Optional[str] = None) -> tqdm.tqdm:
            return tqdm.tqdm(
                total=eval_frequency,
                desc=title,
                unit="step",
                leave=False,
                file=stderr,
                disable=None if progress_bar else True,  # None: only where it isn't a terminal
            )

        write_row(_COLUMNS)
        write_row(tuple("-" * width for width in _WIDTHS))
        bar = start_bar()

        def log_step(info: Optional[Info]) -> None:
            nonlocal bar, n_skipped
            if info is None:
                bar.update()
                return
            bar.close()
            write_row(_row(info))
            skipped = info["other_scores"]["skipped"]
            if skipped > n_skipped:
                steps = "1 step was" if skipped == 1 else f"{skipped} steps were"
                write(msg.warn(f"{steps} skipped so far: the loss wasn't a finite number"))
            n_skipped = skipped
            bar = start_bar(f"Epoch {info['epoch']}")

        def finalize() -> None:
            bar.close()

        return log_step, finalize

    return setup


def _row(info: Info) -> Tuple[str, ...]:
    scores, losses = info["other_scores"], info["losses"]
    return (
        str(info["epoch"]),
        str(info["step"]),
        format_count(info["words"]),
        format_decimal((losses["forward"] + losses["backward"]) / 2),
        format_decimal(scores["perplexity_forward"]),
        format_decimal(scores["perplexity_backward"]),
        format_count(scores["tokens_per_second"]),
        format_duration(scores["seconds_left"]),
    )


def tensorboard_logger_v1(log_dir: str) -> Logger:
    """spacy-elmo.TensorBoardLogger.v1: writes losses, held-out perplexities, speed and learning
    rate for TensorBoard. It prints nothing: ``spacy.ChainLogger.v1`` joins it to one that does.

    log_dir: Folder of TensorBoard's event files. A resumed run goes on in it: what earlier runs
        wrote of the steps that it repeats is not shown any more.
    RAISES ImportError: TensorBoard is missing.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ImportError(
            "spacy-elmo.TensorBoardLogger.v1 needs TensorBoard: "
            "pip install 'spacy-elmo[tensorboard]'"
        ) from error

    def setup(
        nlp: Language, stdout: IO = sys.stdout, stderr: IO = sys.stderr
    ) -> Tuple[LogStep, Callable[[], None]]:
        writer: Optional[SummaryWriter] = None

        def log_step(info: Optional[Info]) -> None:
            nonlocal writer
            if info is None:
                return
            step = info["step"]
            if writer is None:  # only now is it known where a resumed run starts
                writer = SummaryWriter(str(Path(log_dir)), purge_step=step)
            for name, value in _scalars(info).items():
                if math.isfinite(value):
                    writer.add_scalar(name, value, step)
            writer.flush()

        def finalize() -> None:
            if writer is not None:
                writer.close()

        return log_step, finalize

    return setup


def _scalars(info: Info) -> Dict[str, float]:
    """Names and values of TensorBoard's plots, which it groups by the part before the slash."""
    scores, losses = info["other_scores"], info["losses"]
    return {
        **{f"loss/{name}": value for name, value in losses.items()},
        "perplexity/forward": scores["perplexity_forward"],
        "perplexity/backward": scores["perplexity_backward"],
        "perplexity/both": scores["perplexity"],
        "training/tokens_per_second": scores["tokens_per_second"],
        "training/learn_rate": scores["learn_rate"],
        "training/tokens": info["words"],
        "training/skipped": scores["skipped"],
    }
