"""What a run leaves: the finished biLMs, their model cards and the curves."""

import json
from pathlib import Path
from typing import Any, Optional, Union

from wasabi import msg

from ..formats import read_softmax, write_native
from ..formats.files import replacing
from .corpus import TokenStore
from .distillation import TargetStore
from .evaluation import Perplexity, StoredSentences, perplexity, streams_of
from .learning import LanguageModel, Processes, Progress
from .reports import (
    CardFacts,
    CorpusFacts,
    HeldOutFacts,
    Report,
    TeacherFacts,
    plot_curves,
    write_model_card,
)
from .settings import Settings
from .start import get_softmax, read_model

LAST, BEST = "model-last", "model-best"
_BEST_RECORD = "best.json"  # in the run's folder


class Results:
    """Writes them into a run's folder.

    settings: Of the run.
    output: The folder.
    train_store: The training text.
    dev_store: The held-out text, if there is one.
    processes: Those of the run.
    keep_softmax: Whether the finished biLMs keep their softmax.
    """

    def __init__(
        self,
        settings: Settings,
        output: Path,
        train_store: TokenStore,
        dev_store: Optional[TokenStore],
        processes: Processes,
        *,
        keep_softmax: bool,
    ) -> None:
        self.settings, self.output, self.processes = settings, output, processes
        self.train_store, self.dev_store = train_store, dev_store
        self.targets: Optional[TargetStore] = None  # of a teacher, if there is one
        self.keep_softmax = keep_softmax
        self._measured: dict[int, Optional[HeldOutFacts]] = {}  # by step

    def evaluate(
        self, model: LanguageModel, max_words: Optional[int] = None
    ) -> Optional[Perplexity]:
        """Measure the perplexity of the held-out text, every sentence from zeros, as vectors are
        computed, or with the state carried on, as the training has it.

        model: On the device of the run.
        max_words: So many words are read, about, in sentences from all over the text; where the
            state is carried on, in blocks of consecutive ones, one for each stream. None for all.
        RETURNS: None if no text is held out.
        """
        store = self.dev_store
        if store is None:
            return None
        stateful = self.settings.training.carry_state
        n_sentences = store.n_sentences
        if max_words is not None and max_words < store.n_tokens:
            n_sentences = max(1, n_sentences * max_words // store.n_tokens)
        n_blocks = streams_of(n_sentences) if stateful else n_sentences
        sentences = StoredSentences(store, n_sentences, n_blocks)
        return perplexity(model, sentences, stateful=stateful)

    def write_last(self, model: LanguageModel, progress: Progress) -> None:
        """Write a biLM at the end of training, with its card.

        model: The biLM.
        progress: When it had these weights.
        """
        directory = self.output / LAST
        softmax = get_softmax(model) if self.keep_softmax else None
        write_native(model.network, directory, softmax=softmax)
        self._write_card(directory, model, progress, progress.steps)

    def keep_best(self, model: LanguageModel, perplexity: float, step: int) -> None:
        """Write the best biLM so far, always with its softmax: it is measured at the end.

        model: The biLM.
        perplexity, step: What it is the best by, and when it was.
        """
        record = self.output / _BEST_RECORD
        record.unlink(missing_ok=True)  # is written last: the biLM is whole if it is there
        write_native(model.network, self.output / BEST, softmax=get_softmax(model))
        with replacing(record) as temporary:
            temporary.write_text(json.dumps([perplexity, step]), encoding="utf-8")

    def holds_best(self, perplexity: float, step: int) -> bool:
        """Whether the best biLM that is kept is this one.

        perplexity, step: As ``keep_best`` was told.
        """
        try:
            return json.loads((self.output / _BEST_RECORD).read_bytes()) == [perplexity, step]
        except (OSError, ValueError):
            return False

    def write_best(self, progress: Progress, step: int) -> None:
        """Write the card of the best biLM, and take its softmax away if it isn't to be kept.

        progress: At the end of training.
        step: When it was kept.
        """
        directory = self.output / BEST
        if read_softmax(directory) is None:
            return  # it is finished already: the run was resumed, and nothing better came
        model = read_model(directory).to(self.processes.device)
        self._write_card(directory, model, progress, step)
        if not self.keep_softmax:
            write_native(model.network, directory)

    def draw_curves(self, reports: list[Report]) -> None:
        """Draw the run's curves, if Matplotlib is there."""
        try:
            plot_curves(reports, self.output / "curves.png", self.output.resolve().name)
        except ImportError as error:
            msg.warn("The curves aren't drawn", str(error))

    def _write_card(
        self, directory: Path, model: LanguageModel, progress: Progress, step: int
    ) -> None:
        settings = self.settings
        config = model.network.config
        record = CardFacts(
            name=settings.card.name or directory.name,
            lang=settings.config["nlp"]["lang"],
            span_getter=settings.corpus.get_spans["@span_getters"],
            config=config,
            n_parameters=sum(parameter.numel() for parameter in model.network.parameters()),
            vocabulary_size=len(model.vocabulary),
            corpus=_corpus(self.train_store, settings.readers.train),
            n_trained=progress.words * step // progress.steps,
            seconds=progress.seconds * step / progress.steps,
            settings=settings.for_card(step, self.processes.world_size),
            held_out=self._held_out(model, step),
            teacher=self._teacher(),
            started_from=_source(settings.initialize.source),
            licence=settings.card.licence,
        )
        write_model_card(record, directory / "README.md")

    def _teacher(self) -> Optional[TeacherFacts]:
        distillation = self.settings.training.distillation
        if distillation is None or self.targets is None:
            return None
        teacher = distillation.teacher
        return TeacherFacts(teacher.name, teacher.layers, teacher.licence, self.targets.n_words)

    def _held_out(self, model: LanguageModel, step: int) -> Optional[HeldOutFacts]:
        """On all of the held-out text, once if the last biLM is the best one."""
        if step not in self._measured:
            self._measured[step] = self._measure(model)
        return self._measured[step]

    def _measure(self, model: LanguageModel) -> Optional[HeldOutFacts]:
        result = self.evaluate(model)
        if result is None or self.dev_store is None:
            return None
        return HeldOutFacts(
            corpus=_corpus(self.dev_store, self.settings.readers.dev),
            perplexity_forward=result.forward,
            perplexity_backward=result.backward,
            n_unknown=result.n_unknown,
            stateful=self.settings.training.carry_state,
        )


def _corpus(store: TokenStore, read: Any) -> CorpusFacts:
    files = read.files() if hasattr(read, "files") else []
    sizes = [(name, Path(name).stat().st_size if Path(name).exists() else None) for name in files]
    return CorpusFacts(sizes, store.n_sentences, store.n_tokens, len(store.words))


def _source(source: Union[str, list[str], None]) -> Optional[str]:
    return ", ".join(source) if isinstance(source, list) else source
