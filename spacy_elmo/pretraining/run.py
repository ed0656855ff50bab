"""A run of pretraining, from its config to the trained biLM: what happens around the steps."""

import math
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any, Optional, Union

from wasabi import msg

from ..formats import write_native
from .batches import Batches
from .checkpoints import Checkpoints, read_optimizer, read_progress, read_state
from .curves import plot_curves
from .model_card import CorpusRecord, HeldOutRecord, RunRecord, write_model_card
from .perplexity import Perplexity, StoredSentences, perplexity
from .processes import Processes
from .run_log import Report, RunLog
from .settings import Settings
from .start import get_softmax, make_model, read_model
from .step import TrainingStep
from .text import Reader
from .token_store import TokenStore
from .tokenize import tokenize
from .trainer import Diverged, Progress, Trainer, default_precision

LAST, BEST = "model-last", "model-best"


class Run:
    """One run and its folder.

    settings: The config, resolved.
    output: The folder: ``model-last`` and, with held-out text, ``model-best`` (native directories
        with a model card), ``checkpoints``, ``tokens``, ``log.jsonl``, ``curves.png``,
        ``vocabulary.txt`` and ``config.cfg``.
    processes: Those of the run.
    keep_softmax: Whether the finished biLMs keep their softmax. Checkpoints always do.
    """

    def __init__(
        self, settings: Settings, output: Path, processes: Processes, *, keep_softmax: bool = True
    ) -> None:
        self.settings, self.output, self.processes = settings, output, processes
        self.keep_softmax = keep_softmax
        training = settings.training
        self.log = RunLog(output / "log.jsonl")
        self.checkpoints = Checkpoints(output / "checkpoints", training.n_checkpoints, processes)
        self.train_store, self.dev_store = self._tokenize()
        self.best: tuple[float, int] = (math.inf, 0)  # perplexity and step

    def start(self, resume: bool) -> None:
        """Prepare training.

        resume: Go on from the last checkpoint.
        RAISES ValueError: A setting doesn't fit, or the checkpoint or its settings don't.
        """
        settings, training, processes = self.settings, self.settings.training, self.processes
        checkpoint = self.checkpoints.last() if resume else None
        if resume and checkpoint is None and processes.is_first:
            msg.warn("There is no checkpoint to resume from: training begins anew.")
        if checkpoint is not None:
            model = read_model(checkpoint)
        else:
            model = make_model(
                settings.bilm,
                settings.initialize,
                settings.vocabulary,
                self.train_store,
                training.seed,
            )
        model.to(processes.device)
        mixed_precision = training.mixed_precision
        if mixed_precision is None:
            mixed_precision = default_precision(processes.device)
        batches = Batches(
            self.train_store,
            model.vocabulary,
            model.network.config.char_cnn.boundaries,
            batch_size=training.batch_size,
            n_steps=training.n_steps,
            seed=training.seed,
            rank=processes.rank,
            world_size=processes.world_size,
        )
        compute = TrainingStep(
            model,
            n_samples=training.n_samples,
            dropout=training.dropout,
            carry_state=training.carry_state,
            mixed_precision=mixed_precision,
            seed=[training.seed, processes.rank],
        )
        self.trainer = Trainer(
            model,
            batches,
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

    def train(self) -> None:
        """Train to the end, with evaluations and checkpoints, and write the biLM.

        RAISES Diverged: The loss wasn't finite in several steps in a row. The last weights before
            them are written.
        RAISES KeyboardInterrupt: Someone wants it to end. A checkpoint is written before.
        """
        training, trainer, processes = self.settings.training, self.trainer, self.processes
        progress = trainer.progress
        log_step, finalize = self._logger()
        speed = _Speed(progress)
        history = [(r.score, r.step) for r in self.log.read()] if processes.is_first else []
        last_checkpoint = time.monotonic()
        interrupted = done = False
        with _interrupts() as interrupt:
            while not done and progress.steps < training.max_steps:
                try:
                    trainer.step()
                except Diverged:
                    self._write(LAST, self._evaluate(None))
                    raise
                if progress.steps % training.eval_frequency == 0 and processes.is_first:
                    report = self._report(speed)
                    history.append((report.score, report.step))
                    self.log.append(report)
                    log_step(report.info(history))
                    done = self._is_patience_over()
                else:
                    log_step(None)
                minutes = (time.monotonic() - last_checkpoint) / 60
                due = processes.is_first and minutes >= training.checkpoint_minutes
                # All processes save and end together.
                n_due, n_done, n_interrupted = processes.sum([due, done, interrupt.is_set])
                interrupted, done = n_interrupted > 0, n_done + n_interrupted > 0
                if n_due or done or progress.steps == training.max_steps:
                    self._save_checkpoint()
                    last_checkpoint = time.monotonic()
        finalize()
        if interrupted:
            raise KeyboardInterrupt
        if processes.is_first:
            self._finish()
        processes.wait()

    def _tokenize(self) -> tuple[TokenStore, Optional[TokenStore]]:
        corpus, n_process = self.settings.corpus, self.settings.training.n_process
        directory = Path(corpus.tokens or self.output / "tokens")

        # Whichever process comes first makes a store; the others wait for it.
        def store(read: Reader, name: str) -> TokenStore:
            tokenization = self.settings.tokenization
            return tokenize(read, directory / name, tokenization, n_process or None)

        dev = None if corpus.dev is None else store(corpus.dev, "dev")
        return store(corpus.train, "train"), dev

    def _logger(self) -> Any:
        if not self.processes.is_first:
            return (lambda info: None), (lambda: None)
        return self.settings.training.logger(self.settings.nlp, sys.stdout, sys.stderr)

    def _report(self, speed: "_Speed") -> Report:
        """Evaluates, and keeps the biLM if it is the best so far."""
        trainer, training = self.trainer, self.settings.training
        progress = trainer.progress
        tokens_per_second, steps_per_second = speed.take()
        losses = progress.take_losses()
        result = self._evaluate(training.max_eval_words)
        forward, backward = (result.forward, result.backward) if result else (math.nan, math.nan)
        report = Report(
            step=progress.steps,
            epoch=trainer.batches.epoch,
            words=progress.words,
            seconds=progress.seconds,
            loss_forward=losses.forward,
            loss_backward=losses.backward,
            perplexity_forward=forward,
            perplexity_backward=backward,
            tokens_per_second=tokens_per_second,
            seconds_left=(training.max_steps - progress.steps) / steps_per_second,
            learn_rate=trainer.learn_rate,
            skipped=progress.skipped,
        )
        if result is not None and report.perplexity < self.best[0]:
            self.best = (report.perplexity, progress.steps)
            self._write_native(self.output / BEST)
        return report

    def _evaluate(self, max_words: Optional[int]) -> Optional[Perplexity]:
        """Of the held-out text, as far as it is to be read, every sentence from zeros, as vectors
        are computed, or with the state carried on, as the training has it."""
        store = self.dev_store
        if store is None:
            return None
        n_sentences = store.n_sentences
        if max_words is not None:
            n_sentences = max(1, int(store.starts.searchsorted(max_words, "right")) - 1)
        return perplexity(
            self.trainer.model,
            StoredSentences(store, n_sentences),
            stateful=self.settings.training.carry_state,
        )

    def _is_patience_over(self) -> bool:
        patience = self.settings.training.patience
        since = self.trainer.progress.steps - self.best[1]
        return self.dev_store is not None and 0 < patience <= since

    def _save_checkpoint(self) -> None:
        trainer = self.trainer
        progress = {
            **asdict(trainer.progress),
            "best": list(self.best),
            "world_size": self.processes.world_size,
            "batch_size": trainer.batches.batch_size,
        }
        self.checkpoints.save(
            trainer.progress.steps,
            lambda folder: write_native(
                trainer.model.network, folder, softmax=get_softmax(trainer.model)
            ),
            trainer.optimizer.tensors(),
            progress,
            *trainer.state(),
        )

    def _resume(self, checkpoint: Path) -> None:
        progress = read_progress(checkpoint)
        expected = {
            "world_size": self.processes.world_size,
            "batch_size": self.trainer.batches.batch_size,
        }
        for name, value in expected.items():
            if progress[name] != value:
                raise ValueError(
                    f"{checkpoint} was written with {name} = {progress[name]}, but this run has "
                    f"{value}. A run is resumed with as many processes and streams as it had."
                )
        self.best = tuple(progress["best"])
        known = {key: progress[key] for key in asdict(Progress())}
        known["loss_sums"] = tuple(known["loss_sums"])
        self.trainer.progress = Progress(**known)
        self.trainer.optimizer.set_tensors(read_optimizer(checkpoint))
        self.trainer.set_state(*read_state(checkpoint, self.processes.rank))
        if self.processes.is_first:
            msg.info(f"Going on from {checkpoint}")

    def _finish(self) -> None:
        self._write(LAST, self._evaluate(None))
        best = self.output / BEST
        if best.exists():
            stored = perplexity(
                read_model(best).to(self.processes.device),
                StoredSentences(self._held_out()),
                stateful=self.settings.training.carry_state,
            )
            self._write_card(best, stored, self.best[1])
            if not self.keep_softmax:
                write_native(read_model(best).network, best)
        try:
            plot_curves(self.log.read(), self.output / "curves.png", self.output.name)
        except ImportError as error:
            msg.warn("The curves aren't drawn", str(error))

    def _held_out(self) -> TokenStore:
        assert self.dev_store is not None
        return self.dev_store

    def _write(self, name: str, held_out: Optional[Perplexity]) -> None:
        """Write the biLM as it is, with its card."""
        if self.processes.is_first:
            self._write_native(self.output / name, self.keep_softmax)
            self._write_card(self.output / name, held_out, self.trainer.progress.steps)

    def _write_native(self, directory: Path, keep_softmax: bool = True) -> None:
        model = self.trainer.model
        softmax = get_softmax(model) if keep_softmax else None
        write_native(model.network, directory, softmax=softmax)

    def _write_card(self, directory: Path, held_out: Optional[Perplexity], step: int) -> None:
        settings, trainer = self.settings, self.trainer
        progress, model = trainer.progress, trainer.model
        record = RunRecord(
            name=settings.card.name or directory.name,
            lang=settings.config["nlp"]["lang"],
            span_getter=settings.corpus.get_spans["@span_getters"],
            config=model.network.config,
            n_parameters=sum(parameter.numel() for parameter in model.network.parameters()),
            vocabulary_size=len(model.vocabulary),
            corpus=_corpus(self.train_store, settings.corpus.train),
            n_trained=progress.words * step // progress.steps,
            seconds=progress.seconds * step / progress.steps,
            settings=settings.for_card(self.processes.world_size),
            held_out=held_out
            and HeldOutRecord(
                corpus=_corpus(self._held_out(), settings.corpus.dev),
                perplexity_forward=held_out.forward,
                perplexity_backward=held_out.backward,
                n_unknown=held_out.n_unknown,
                stateful=settings.training.carry_state,
            ),
            started_from=_source(settings.initialize.source),
            licence=settings.card.licence,
        )
        write_model_card(record, directory / "README.md")


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


class _Interrupt:
    is_set = False


@contextmanager
def _interrupts() -> Iterator[_Interrupt]:
    """Ctrl-C and the signal that ends processes only ask training to end after its step; a second
    one ends it at once."""
    interrupt = _Interrupt()

    def handle(number: int, frame: Optional[FrameType]) -> None:
        if interrupt.is_set:
            raise KeyboardInterrupt
        interrupt.is_set = True

    old = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupt
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def _corpus(store: TokenStore, read: Any) -> CorpusRecord:
    files = read.files() if hasattr(read, "files") else []
    sizes = [(name, Path(name).stat().st_size if Path(name).exists() else None) for name in files]
    return CorpusRecord(sizes, store.n_sentences, store.n_tokens, len(store.words))


def _source(source: Union[str, list[str], None]) -> Optional[str]:
    return ", ".join(source) if isinstance(source, list) else source
