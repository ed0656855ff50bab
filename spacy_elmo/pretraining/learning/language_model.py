"""A biLM with the softmax that it learns from."""

from torch import nn

from ...bilm import BiLMNetwork
from ..corpus import Vocabulary
from .sampled_softmax import SampledSoftmax


class LanguageModel(nn.Module):
    """What pretraining trains.

    network: The biLM.
    vocabulary: The words that the softmax predicts.
    """

    def __init__(self, network: BiLMNetwork, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.network = network
        self.vocabulary = vocabulary
        self.softmax = SampledSoftmax(len(vocabulary), network.config.lstm.projection_dim)
