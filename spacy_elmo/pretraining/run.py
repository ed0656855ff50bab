"""A run of pretraining, from its config to the trained biLM: what happens around the steps."""

import math
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import Any, Optional, TypeVar, Union

from wasabi import msg

from .checkpoints import Checkpoints, read_optimizer, read_progress, read_state
from .corpus import Batches, Reader, TokenStore, tokenize
from .distillation import SentenceBatches, TargetStore, compute_targets
from .interrupts import Interrupt, interrupts
from .learning import (
    Diverged,
    LanguageModel,
    Processes,
    Progress,
    Trainer,
    TrainingStep,
    default_precision,
)
from .reports import LogStep, Report, RunLog, preview
from .results import BEST, LAST, Results
from .settings import Settings
from .start import make_model, read_distillation, read_model, write_model

CHECKPOINTS, LOG = "checkpoints", "log.jsonl"

ResultT = TypeVar("ResultT")


def holds_run(output: Path) -> bool:
    """Whether a folder holds what a run has written, its tokens aside."""
    return any((output / name).exists() for name in (CHECKPOINTS, LOG, LAST, BEST))


class Run:
    """One run and its folder.

    settings: The config, resolved.
    output: The folder: ``model-last`` and, with held-out text, ``model-best`` (native directories
        with a model card) and ``best.json``, ``checkpoints``, ``tokens``, ``log.jsonl``,
        ``curves.png``, ``vocabulary.txt`` and ``config.cfg``.
    processes: Those of the run.
    keep_softmax: Whether the finished biLMs keep their softmax. Checkpoints always do.
    """

    def __init__(
        self, settings: Settings, output: Path, processes: Processes, *, keep_softmax: bool = True
    ) -> None:
        self.settings, self.output, self.processes = settings, output, processes
        training = settings.training
        self.log = RunLog(output / LOG)
        self.checkpoints = Checkpoints(output / CHECKPOINTS, training.n_checkpoints, processes)
        mixed_precision = training.mixed_precision
        if mixed_precision is None:
            mixed_precision = default_precision(processes.device)
        self.mixed_precision = mixed_precision
        self.train_store, self.dev_store = self._tokenize()
        self.targets: Optional[TargetStore] = None
        self.results = Results(
            settings,
            output,
            self.train_store,
            self.dev_store,
            processes,
            keep_softmax=keep_softmax,
        )
        self.best: tuple[float, int] = (math.inf, 0)  # perplexity and step

    def start(self, resume: bool) -> None:
        """Prepare training.

        resume: Go on from the last checkpoint. The biLM's shape and its vocabulary are the
            checkpoint's.
        RAISES ValueError: A setting doesn't fit, or the checkpoint is damaged or of a run that
            can't be gone on with like this.
        """
        settings, training, processes = self.settings, self.settings.training, self.processes
        checkpoint = self.checkpoints.last() if resume else None
        if resume and checkpoint is None and processes.is_first:
            msg.warn(
                "There is no checkpoint to resume from: training begins anew.",
                "Tokens and a teacher's targets that are there are used.",
            )
        if checkpoint is not None:
            try:
                self._check_same(checkpoint)
            except KeyError as error:
                raise _unusable(checkpoint, f"it lacks {error}.") from error
        self.targets = self.results.targets = self._compute_targets()
        if checkpoint is not None:
            try:
                model = read_model(checkpoint)
            except ValueError as error:
                raise _unusable(checkpoint, error) from error
        else:
            model = make_model(
                settings.bilm,
                settings.initialize,
                settings.vocabulary,
                self.train_store,
                training.seed,
            )
        if training.distillation is not None and self.targets is not None:
            model.learn_from_teacher(self.targets.width, training.distillation.weight)
            if checkpoint is not None:
                read_distillation(checkpoint, model)
        model.to(processes.device)
        compute = TrainingStep(
            model,
            n_samples=training.n_samples,
            dropout=training.dropout,
            carry_state=training.carry_state,
            mixed_precision=self.mixed_precision,
            seed=[training.seed, processes.rank],
        )
        self.trainer = Trainer(
            model,
            self._batches(model),
            compute,
            training.optimizer(model, lambda name: name == "softmax.weight"),
            processes,
            max_grad_norm=training.max_grad_norm,
            max_skipped=training.max_skipped,
        )
        if checkpoint is not None:
            self._resume(checkpoint)
        if processes.is_first:
            self.log.truncate(self.trainer.progress.steps)
            model.vocabulary.write(self.output / "vocabulary.txt")
            n_steps = self.trainer.progress.steps + self._steps_left()
            preview(settings.config, self.train_store, self.dev_store, model.vocabulary, n_steps)

    def train(self) -> None:
        """Train to the end, with evaluations and checkpoints, and write the biLM.

        RAISES Diverged: The loss wasn't finite in several steps in a row, or at the end. The last
            checkpoint's weights are written before. The first process alone raises it.
        RAISES KeyboardInterrupt: Someone wants it to end. A checkpoint is written before, unless
            the loss isn't finite just then.
        RAISES OSError: The disk is full, or something else is wrong with it. The last checkpoint
            is untouched.
        """
        log_step, finalize = self._logger()
        diverged: Optional[Diverged] = None
        try:
            with interrupts() as interrupt:
                self._train(log_step, interrupt)
        except Diverged as error:
            diverged = error
        finally:
            finalize()
        if self.processes.is_first:
            # The others don't wait, because measuring takes long; and they don't raise, because
            # then torchrun would end this process.
            self._finish(diverged is not None)
            if diverged is not None:
                raise diverged

    def _train(self, log_step: LogStep, interrupt: Interrupt) -> None:
        """The steps, evaluations and checkpoints.

        RAISES: As ``train``.
        """
        training, trainer, processes = self.settings.training, self.trainer, self.processes
        progress = trainer.progress
        speed = _Speed(progress)
        history = [(r.score, r.step) for r in self.log.read()] if processes.is_first else []
        last_checkpoint = time.monotonic()
        done = self._is_done()  # a run that is resumed may be
        while not done:
            trainer.step()
            is_due = self._is_trained() or progress.steps % training.eval_frequency == 0
            if processes.is_first and is_due:
                report = self._report(speed)
                history.append((report.score, report.step))
                self.log.append(report)
                log_step(report.info(history))
            else:
                log_step(None)
            minutes = (time.monotonic() - last_checkpoint) / 60
            # What the first process says of time and patience holds for all.
            due = processes.is_first and minutes >= training.checkpoint_minutes
            done = processes.is_first and self._is_done()
            n_due, n_done, n_interrupts = processes.sum([due, done, interrupt.is_set])
            done = n_done > 0
            if n_due or done or n_interrupts:
                trainer.check_weights()
                # Weights that make the loss overflow are finite, but no good to go on from.
                if not progress.skipped_in_a_row:
                    self._save_checkpoint()
                    last_checkpoint = time.monotonic()
            if n_interrupts:
                if progress.skipped_in_a_row and processes.is_first:
                    msg.warn(f"{_lost(progress)} There is no checkpoint of these steps.")
                raise KeyboardInterrupt
        if progress.skipped_in_a_row:
            raise Diverged(f"{_lost(progress)} With this, training ended.")

    def _tokenize(self) -> tuple[TokenStore, Optional[TokenStore]]:
        corpus, n_process = self.settings.corpus, self.settings.training.n_process
        directory = Path(corpus.tokens or self.output / "tokens")

        def store(read: Reader, name: str) -> TokenStore:
            make = partial(tokenize, read, directory / name, self.settings.tokenization)
            made = self._by_first(
                partial(make, n_process or None),
                "The first process couldn't tokenize the text, and says why.",
            )
            return made or TokenStore.open(directory / name)  # all of them see the folder

        readers = self.settings.readers
        dev = None if readers.dev is None else store(readers.dev, "dev")
        return store(readers.train, "train"), dev

    def _compute_targets(self) -> Optional[TargetStore]:
        """What the teacher says of the training text, if there is one."""
        distillation = self.settings.training.distillation
        if distillation is None:
            return None
        compute = partial(
            compute_targets,
            self.train_store,
            distillation.teacher,
            Path(distillation.targets or self.output / "targets"),
            distillation.max_words,
            mixed_precision=self.mixed_precision,
        )
        made = self._by_first(
            compute, "The first process couldn't compute the targets, and says why."
        )
        return made or compute()  # all of them see the folder, which is complete now

    def _by_first(self, task: Callable[[], ResultT], failed: str) -> Optional[ResultT]:
        """Have the first process do something while the others wait.

        failed: What the others say if it couldn't.
        RETURNS: In the first process, the task's result.
        """
        problem: Optional[Exception] = None
        result: Optional[ResultT] = None
        if self.processes.is_first:
            try:
                result = task()
            except (ValueError, OSError, ImportError) as error:
                problem = error
        (n_problems,) = self.processes.sum([problem is not None])
        if problem is not None:
            raise problem
        if n_problems:
            raise ValueError(failed)
        return result

    def _batches(self, model: LanguageModel) -> Union[Batches, SentenceBatches]:
        """The training text for this process."""
        training, processes = self.settings.training, self.processes
        make: Callable[..., Union[Batches, SentenceBatches]] = Batches
        if training.distillation is not None:
            make = partial(SentenceBatches, targets=self.targets, share=training.distillation.share)
        return make(
            self.train_store,
            model.vocabulary,
            model.network.config.char_cnn.boundaries,
            batch_size=training.batch_size,
            n_steps=training.n_steps,
            seed=training.seed,
            rank=processes.rank,
            world_size=processes.world_size,
        )

    def _logger(self) -> tuple[LogStep, Callable[[], None]]:
        if not self.processes.is_first:
            return (lambda info: None), (lambda: None)
        return self.settings.training.logger(self.settings.nlp, sys.stdout, sys.stderr)

    def _report(self, speed: "_Speed") -> Report:
        """Evaluates, and keeps the biLM if it is the best so far."""
        trainer, training = self.trainer, self.settings.training
        progress = trainer.progress
        tokens_per_second, steps_per_second = speed.take()
        losses = progress.take_losses()
        result = self.results.evaluate(trainer.model, training.max_eval_words)
        forward, backward = (result.forward, result.backward) if result else (math.nan, math.nan)
        report = Report(
            step=progress.steps,
            epoch=trainer.batches.epoch,
            words=progress.words,
            seconds=progress.seconds,
            loss_forward=losses.forward,
            loss_backward=losses.backward,
            loss_distillation=math.nan if self.targets is None else losses.distillation,
            perplexity_forward=forward,
            perplexity_backward=backward,
            tokens_per_second=tokens_per_second,
            seconds_left=self._steps_left() / steps_per_second,
            learn_rate=trainer.learn_rate,
            skipped=progress.skipped,
        )
        if result is not None and report.perplexity < self.best[0]:
            self.best = (report.perplexity, progress.steps)
            self.results.keep_best(trainer.model, *self.best)
        return report

    def _steps_left(self) -> int:
        """Steps until training ends by ``max_steps`` or ``max_epochs``, about."""
        training, trainer = self.settings.training, self.trainer
        n_steps = training.max_steps
        if training.max_epochs is not None:
            n_steps = min(n_steps, math.ceil(training.max_epochs * trainer.batches.steps_per_epoch))
        return 0 if self._is_trained() else max(n_steps - trainer.progress.steps, 1)

    def _is_trained(self) -> bool:
        """Whether all steps are made, or the text has been read often enough."""
        training, trainer = self.settings.training, self.trainer
        if training.max_epochs is not None and trainer.batches.epoch >= training.max_epochs:
            return True
        return trainer.progress.steps >= training.max_steps

    def _is_done(self) -> bool:
        """Whether it is trained, or the perplexity hasn't become better for long enough."""
        training, steps = self.settings.training, self.trainer.progress.steps
        if self._is_trained():
            return True
        if self.dev_store is None or not training.patience or steps % training.eval_frequency:
            return False
        return steps - self.best[1] >= training.patience

    def _save_checkpoint(self) -> None:
        trainer = self.trainer
        progress = {**asdict(trainer.progress), "best": list(self.best), **self._must_stay()}
        self.checkpoints.save(
            trainer.progress.steps,
            partial(write_model, trainer.model),
            trainer.optimizer.tensors(),
            progress,
            *trainer.state(),
        )

    def _must_stay(self) -> dict[str, int]:
        """What a resumed run has to share with the one that wrote the checkpoint, because places
        in the text and states of streams are told by it."""
        training = self.settings.training
        distillation = training.distillation
        return {
            "processes": self.processes.world_size,
            "training.batch_size": training.batch_size,
            "training.seed": training.seed,
            "sentences of training text": self.train_store.n_sentences,
            "tokens of training text": self.train_store.n_tokens,
            "training.distillation.max_words": distillation.max_words if distillation else 0,
        }

    def _check_same(self, checkpoint: Path) -> None:
        """RAISES KeyError: The checkpoint lacks something.
        RAISES ValueError: It is of another run, or damaged."""
        try:
            progress = read_progress(checkpoint)
        except ValueError as error:
            raise _unusable(checkpoint, error) from error
        for name, value in self._must_stay().items():
            before = progress[name]
            if before != value:
                raise ValueError(
                    f"{checkpoint} was written with {before:,} for {name}, but this run "
                    f"has {value:,}. A run is resumed on the same text and with as many processes "
                    "and streams as it had; to change them, begin a new run with its biLM as "
                    "initialize.source."
                )

    def _resume(self, checkpoint: Path) -> None:
        try:
            self._go_on_from(checkpoint)
        except KeyError as error:
            raise _unusable(checkpoint, f"it lacks {error}.") from error
        if self.processes.is_first:
            msg.info(f"Going on from {checkpoint}")

    def _go_on_from(self, checkpoint: Path) -> None:
        """RAISES KeyError: The checkpoint lacks something.
        RAISES ValueError: It is damaged, or of another run."""
        try:
            progress = read_progress(checkpoint)
            optimizer = read_optimizer(checkpoint)
            state = read_state(checkpoint, self.processes.rank)
        except ValueError as error:
            raise _unusable(checkpoint, error) from error
        perplexity, step = progress["best"]
        if not self.results.holds_best(perplexity, step):
            # Steps after the checkpoint have replaced it. What they did is forgotten, so the next
            # evaluation is the best.
            perplexity, step = math.inf, progress["steps"]
        self.best = (perplexity, step)
        self.trainer.progress = _progress(progress)
        try:
            self.trainer.optimizer.set_tensors(optimizer)
        except ValueError as error:
            raise ValueError(f"Can't go on from {checkpoint}. {error}") from error
        self.trainer.set_state(*state)

    def _finish(self, diverged: bool) -> None:
        """Write the biLMs.

        diverged: The weights are no good: the last checkpoint's are taken, which were.
        """
        model, progress = self.trainer.model, self.trainer.progress
        last, checkpoint = self.output / LAST, self.checkpoints.last()
        if not diverged:
            self.results.write_last(model, progress)
        elif checkpoint is None:
            msg.warn(f"Training diverged before its first checkpoint: {last} isn't written.")
        else:
            msg.warn(f"Training diverged: {last} gets the weights of {checkpoint}.")
            model = read_model(checkpoint).to(self.processes.device)
            self.results.write_last(model, _progress(read_progress(checkpoint)))
        if self.dev_store is not None and math.isfinite(self.best[0]):
            self.results.write_best(progress, self.best[1])
        self.results.draw_curves(self.log.read())


def _progress(values: dict[str, Any]) -> Progress:
    """Progress as a checkpoint has it, beside other values."""
    known = {field.name: values[field.name] for field in fields(Progress)}
    sums = [*known["loss_sums"], 0.0]  # older ones know no teacher
    return Progress(**{**known, "loss_sums": tuple(sums[:3])})


def _lost(progress: Progress) -> str:
    """That the last steps were left out."""
    first = progress.steps - progress.skipped_in_a_row + 1
    return f"The loss isn't finite since step {first:,}."


def _unusable(checkpoint: Path, error: Union[ValueError, str]) -> ValueError:
    return ValueError(
        f"The checkpoint {checkpoint} is damaged: {error} Remove this folder to go on from the "
        "checkpoint before it."
    )


class _Speed:
    """Tokens and steps a second since the last question.

    progress: Of the run.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._mark()

    def take(self) -> tuple[float, float]:
        """Tokens and steps a second, of training alone."""
        steps, words, seconds = self._last
        self._mark()
        passed = max(self._last[2] - seconds, 1e-9)
        return (self._last[1] - words) / passed, max(self._last[0] - steps, 1) / passed

    def _mark(self) -> None:
        progress = self._progress
        self._last = (progress.steps, progress.words, progress.seconds)
