"""A teacher beside the next word: a larger model's vectors of the same words. ``teacher`` says what
a teacher is, ``transformer`` makes one of a Hugging Face model, ``targets`` has it read a part of
the text once and keeps what it says, and ``sentence_batches`` deals out the sentences that have
such targets beside those that have none."""

from .sentence_batches import SentenceBatches
from .targets import TargetStore, compute_targets
from .teacher import Taught, Teacher

__all__ = ["SentenceBatches", "TargetStore", "Taught", "Teacher", "compute_targets"]
