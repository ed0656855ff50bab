"""The softmax over the output vocabulary, and its estimate from a sample of it."""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn


class Samples(NamedTuple):
    """Words that stand for all that are not the right one.

    ids: (n_samples,) int64, distinct rows of the softmax.
    n_draws: How many draws it took to find so many distinct words; 0 if these are all words.
    """

    ids: Tensor
    n_draws: int


class LogUniformSampler:
    """Draws distinct words with the log-uniform (Zipfian) probability of their rank,
    ``P(k) = log((k + 2) / (k + 1)) / log(n_words + 1)``, as TensorFlow's
    ``log_uniform_candidate_sampler``. The vocabulary has to be sorted by falling frequency.

    n_words: Size of the vocabulary.
    n_samples: Words of a sample; all words, if they are not more than that.
    """

    def __init__(self, n_words: int, n_samples: int) -> None:
        self.n_words, self.n_samples = n_words, n_samples

    def sample(self, random: np.random.Generator) -> Samples:
        """random: Where the numbers come from."""
        if self.n_samples >= self.n_words:
            return Samples(torch.arange(self.n_words), 0)
        draws = np.empty(0, dtype="int64")
        while True:
            uniform = random.random(2 * self.n_samples)
            new = np.exp(uniform * math.log(self.n_words + 1)).astype("int64") - 1
            draws = np.concatenate([draws, new.clip(0, self.n_words - 1)])
            words, first_draws = np.unique(draws, return_index=True)
            if len(words) >= self.n_samples:
                order = np.argsort(first_draws)[: self.n_samples]
                return Samples(torch.from_numpy(words[order]), int(first_draws[order[-1]]) + 1)

    def log_expected(self, ids: Tensor, n_draws: int) -> Tensor:
        """The logarithm of how often a word is expected among the distinct words of ``n_draws``
        draws: ``1 - (1 - P)^n_draws``.

        ids: Words, of any shape, as the result.
        """
        ranks = ids.double()
        probability = torch.log((ranks + 2) / (ranks + 1)) / math.log(self.n_words + 1)
        return torch.log(-torch.expm1(n_draws * torch.log1p(-probability))).float()


class SampledSoftmax(nn.Module):
    """The softmax of both directions (bilm-tf shares it, too).

    n_words: Size of the vocabulary.
    width: Of the outputs that words are predicted from, the biLM's projection_dim.
    """

    def __init__(self, n_words: int, width: int) -> None:
        super().__init__()
        # bilm-tf's initialization
        self.weight = nn.Parameter(torch.randn(n_words, width) / math.sqrt(width))
        self.bias = nn.Parameter(torch.zeros(n_words))

    def loss(
        self, outputs: Tensor, targets: Tensor, samples: Samples, sampler: LogUniformSampler
    ) -> Tensor:
        """The mean loss of predicting words, estimated by a sample (Jean et al. 2015, section 3;
        TensorFlow's ``sampled_softmax_loss``): a softmax over the right word and the sample, each
        logit lowered by the logarithm of the word's expected count. A sampled word that is the
        right one is left out. The weight's gradient is sparse.

        outputs: (n_tokens, width).
        targets: (n_tokens,) int64, rows of the softmax.
        samples: Of ``sampler``. If they are all words, the loss is exact.
        RETURNS: In nats a token.
        """
        ids = torch.cat([targets, samples.ids])
        rows = nn.functional.embedding(ids, self.weight, sparse=True)
        biases = self.bias[ids]
        n_targets = len(targets)
        right = (outputs * rows[:n_targets]).sum(dim=1) + biases[:n_targets]
        others = torch.matmul(outputs, rows[n_targets:].t())
        corrections = biases[n_targets:]
        if samples.n_draws:
            right = right - sampler.log_expected(targets, samples.n_draws)
            corrections = corrections - sampler.log_expected(samples.ids, samples.n_draws)
        others = others + corrections
        position = torch.full((len(self.weight),), -1, device=targets.device)
        position[samples.ids] = torch.arange(len(samples.ids), device=targets.device)
        hits = position[targets]
        tokens = (hits >= 0).nonzero().squeeze(1)
        others = others.index_put((tokens, hits[tokens]), others.new_tensor(-math.inf))
        return (torch.logaddexp(right, others.logsumexp(dim=1)) - right).mean()
