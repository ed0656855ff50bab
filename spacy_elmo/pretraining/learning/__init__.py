"""How a biLM learns. ``language_model`` is what is trained: the biLM and its softmax, of which
``sampled_softmax`` estimates the loss, and the map of ``distillation`` to a teacher's vectors.
``step`` computes the gradients of a batch, ``processes`` averages those of several processes,
``gradients`` limits them, ``optimizers`` updates the weights, and ``trainer`` does all of this once
a step. ``sentence_loss`` is the loss of whole sentences, for training loops that aren't ours."""

from .distillation import Distillation
from .language_model import LanguageModel
from .processes import Processes, join_processes
from .sentence_loss import SentenceLoss
from .step import TrainingStep
from .trainer import Diverged, Progress, Trainer, default_precision

__all__ = [
    "Distillation",
    "Diverged",
    "LanguageModel",
    "Processes",
    "Progress",
    "SentenceLoss",
    "Trainer",
    "TrainingStep",
    "default_precision",
    "join_processes",
]
