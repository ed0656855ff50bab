"""A biLM with what it learns from."""

from typing import Optional

from torch import nn

from ...bilm import BiLMNetwork
from ..corpus import Vocabulary
from .distillation import Distillation
from .sampled_softmax import SampledSoftmax


class LanguageModel(nn.Module):
    """What pretraining trains.

    network: The biLM.
    vocabulary: The words that the softmax predicts.
    """

    distillation: Optional[Distillation]

    def __init__(self, network: BiLMNetwork, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.network = network
        self.vocabulary = vocabulary
        self.softmax = SampledSoftmax(len(vocabulary), network.config.lstm.projection_dim)
        self.distillation = None

    def learn_from_teacher(self, n_targets: int, weight: float) -> Distillation:
        """Have it learn from a teacher, too, by a map with random weights.

        n_targets: Width of the teacher's vectors.
        weight: Of this loss.
        """
        config = self.network.config
        width = config.n_layers * config.width
        self.distillation = Distillation(width, n_targets, weight)
        return self.distillation
