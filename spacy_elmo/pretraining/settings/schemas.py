"""The sections of a pretraining config that aren't registered functions, and their checks."""

from collections.abc import Callable
from typing import Annotated, Any, Optional, Union

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ..distillation import Teacher

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
Seed = Annotated[int, Field(ge=0, lt=2**64)]  # NumPy takes none below, PyTorch none above


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True, frozen=True)


class VocabularySettings(_Section):
    """``[vocabulary]``: the words that the biLM learns to predict.

    path: A vocabulary of one word a line, by falling frequency, which is where the sampled softmax
        takes the words' frequencies from; null to count the words of the training text. Where
        training goes on from a checkpoint of bilm-tf without ``vocab.txt``, and keeps its softmax,
        this is the vocabulary that it was trained with.
    min_count: Rarer words are left out.
    max_size: Most words, with the three symbols; null for no limit.
    """

    path: Optional[str]
    min_count: Count
    max_size: Optional[Count]


class InitializeSettings(_Section):
    """``[initialize]``: where training starts.

    source: Weights to go on from, whose shape replaces ``[bilm]``; null for random ones.
    keep_softmax: Whether to take over the source's softmax with its vocabulary, if it has one;
        if not, ``[vocabulary]`` tells the words, and those that the source's softmax knows start
        from its rows.
    """

    source: Union[str, list[str], None]
    keep_softmax: bool


class DistillationSettings(_Section):
    """``[training.distillation]``: what is learned from a teacher beside the next word.

    teacher: Names the teacher (``@misc``).
    weight: Of the distance to the teacher's vectors, beside the mean loss of the next word.
    max_words: So many words of the text the teacher reads, if the text has them.
    share: How much of what is read in training is of sentences that the teacher has read. The
        others train the language model alone.
    targets: Folder for the teacher's vectors, which other runs may share; null for the run's own.
        All machines of a run see it.
    """

    teacher: Teacher
    weight: Annotated[float, Field(gt=0)]
    max_words: Count
    share: Annotated[float, Field(gt=0, le=1)]
    targets: Optional[str] = None


class TrainingSettings(_Section):
    """``[training]``.

    batch_size: Streams of text that are read side by side, by each process.
    n_steps: Tokens of a stream between two updates, through which gradients go back.
    n_samples: Words of the sampled softmax; the full one, if the vocabulary isn't larger.
    dropout: Share of each LSTM layer's inputs, and of what the words are predicted from, that
        become zero, as in bilm-tf.
    carry_state: Whether a sentence starts from the state that its stream's last one ended with, as
        in bilm-tf; if not, from zeros, as vectors are computed.
    mixed_precision: Whether matrix products are computed in bfloat16; null for where the device
        has instructions for them.
    max_grad_norm: Largest norm of all gradients together; null for no limit.
    max_steps: Steps until training ends.
    max_epochs: Passes over the text until training ends, if that comes first: it ends with the step
        that begins another one. null for no limit.
    patience: Steps without a better held-out perplexity after which training ends; 0 for never.
    eval_frequency: Steps between two evaluations.
    max_eval_words: Words of the held-out text that an evaluation during training reads, about, in
        sentences from all over the text.
    checkpoint_minutes: Time between two checkpoints.
    n_checkpoints: How many are kept.
    max_skipped: So many steps in a row whose loss or gradient isn't finite end training; fewer are
        left out.
    n_process: Processes that tokenize; 0 for one on each core.
    distillation: What is learned from a teacher beside the next word; null for no teacher.
    seed: Of all random numbers.
    """

    batch_size: Count
    n_steps: Count
    n_samples: Count
    dropout: Share
    carry_state: bool
    mixed_precision: Optional[bool]
    max_grad_norm: Optional[Annotated[float, Field(gt=0)]]
    max_steps: Count
    max_epochs: Optional[Count] = None
    patience: Annotated[int, Field(ge=0)]
    eval_frequency: Count
    max_eval_words: Count
    checkpoint_minutes: Annotated[float, Field(gt=0)]
    n_checkpoints: Count
    max_skipped: Count
    n_process: Annotated[int, Field(ge=0)]
    distillation: Optional[DistillationSettings] = None
    seed: Seed
    optimizer: Callable[..., Any]
    logger: Callable[..., Any]

    @model_validator(mode="after")
    def _check_state(self) -> "TrainingSettings":
        if self.distillation is not None and self.carry_state:
            raise ValueError(
                "carry_state has to be false with a teacher, who reads each sentence for itself"
            )
        return self


class CorpusSettings(_Section):
    """``[corpus]``.

    train: Names what reads the texts to learn from (``@readers``). Those of a reader without the
        method ``fingerprint``, which tells them from others, are tokenized at each start anew.
    dev: The same of those that are held out; null, or a path of null, for none.
    get_spans: Names what cuts them into sentences (``@span_getters``).
    tokens: Folder for the tokenized texts, which other runs may share; null for the run's own. All
        machines of a run see it.
    """

    train: dict[str, Any]
    dev: Optional[dict[str, Any]]
    get_spans: dict[str, Any]
    tokens: Optional[str]


class CardSettings(_Section):
    """``[card]``: what the model card tells beside what is known.

    name: The biLM's name; null for that of its folder.
    licence: Of the weights; null for none.
    """

    name: Optional[str]
    licence: Optional[str]
