"""The softmax over the output vocabulary, and its estimate from a sample of it."""

import math
from typing import Any, NamedTuple, Optional, Tuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ...bilm.kernels import has_onednn, product
from ...bilm.scripting import scripted

BLOCK_TOKENS = 64  # whose logits exist at a time


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
        device = targets.device
        corrections = torch.zeros(len(targets) + len(samples.ids), device=device)
        ids = torch.cat([targets, samples.ids])
        if samples.n_draws:
            corrections = sampler.log_expected(ids, samples.n_draws)
        position = torch.full((len(self.weight),), -1, device=device)
        position[samples.ids] = torch.arange(len(samples.ids), device=device)
        dtype = outputs.dtype
        if torch.is_autocast_enabled(device.type):
            dtype = torch.get_autocast_dtype(device.type)
        with torch.autocast(device.type, enabled=False):
            return _SampledLoss.apply(
                outputs,
                nn.functional.embedding(ids, self.weight, sparse=True),
                self.bias[ids] - corrections,
                position[targets],
                dtype,
            )


class _SampledLoss(torch.autograd.Function):
    """The loss of logits, and its gradients with it, a few tokens at a time: logits of all tokens
    and samples would go through memory a dozen times.

    outputs: (n_tokens, width).
    rows: (n_tokens + n_samples, width), of the right words, then of the samples.
    biases: (n_tokens + n_samples,), corrected.
    hits: (n_tokens,) int64: which of the samples is the right word; -1 for none.
    dtype: What matrix products are computed in.
    RETURNS: The mean loss.
    """

    @staticmethod
    def forward(
        ctx: Any, outputs: Tensor, rows: Tensor, biases: Tensor, hits: Tensor, dtype: torch.dtype
    ) -> Tensor:
        n_tokens = len(outputs)
        onednn = dtype == torch.float32 and has_onednn(outputs.device, "float32")
        losses, shares, d_right, d_biases = _losses(
            outputs, rows[:n_tokens], biases[:n_tokens], rows[n_tokens:].to(dtype),
            biases[n_tokens:], hits, onednn, BLOCK_TOKENS,
        )  # fmt: skip
        typed = outputs.to(dtype)
        d_outputs = product(shares, rows[n_tokens:].to(dtype).t(), onednn).to(outputs.dtype)
        d_outputs.addcmul_(d_right.unsqueeze(1), rows[:n_tokens])
        of_samples = product(shares.t(), typed.t(), onednn).to(outputs.dtype)
        d_rows = torch.cat([d_right.unsqueeze(1) * outputs, of_samples])
        d_biases = torch.cat([d_right, d_biases])
        ctx.gradients = [gradient.div_(n_tokens) for gradient in (d_outputs, d_rows, d_biases)]
        return losses.mean()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_loss: Tensor) -> tuple[Optional[Tensor], ...]:
        return (*(gradient * d_loss for gradient in ctx.gradients), None, None)


@scripted
def _losses(
    outputs: Tensor,
    right_rows: Tensor,
    right_biases: Tensor,
    rows: Tensor,
    biases: Tensor,
    hits: Tensor,
    onednn: bool,
    block_tokens: int,
) -> Tuple[Tensor, Tensor, Tensor, Tensor]:
    """RETURNS: Each token's loss; the samples' shares of its probability, which are the gradients
    of their logits, (n_tokens, n_samples), in the type of ``rows``; the gradient of the right
    word's logit; and that of the samples' biases."""
    n_tokens = outputs.shape[0]
    shares = torch.empty([n_tokens, rows.shape[0]], dtype=rows.dtype, device=rows.device)
    right = (outputs * right_rows).sum(dim=1).add_(right_biases)
    losses = torch.empty_like(right)
    d_right = torch.empty_like(right)
    d_biases = torch.zeros_like(biases)
    for start in range(0, n_tokens, block_tokens):
        end = min(start + block_tokens, n_tokens)
        logits = product(outputs[start:end].to(rows.dtype), rows, onednn).to(outputs.dtype)
        logits.add_(biases)
        hit = hits[start:end]
        found = (hit >= 0).nonzero().squeeze(1)
        logits.index_put_([found, hit[found]], torch.full_like(logits[0, 0], -float("inf")))
        largest = torch.maximum(logits.amax(dim=1), right[start:end])
        powers = logits.sub_(largest.unsqueeze(1)).exp_()
        power_of_right = (right[start:end] - largest).exp_()
        total = powers.sum(dim=1).add_(power_of_right)
        losses[start:end] = total.log().add_(largest).sub_(right[start:end])
        d_right[start:end] = power_of_right.div_(total).sub_(1.0)
        powers.div_(total.unsqueeze(1))
        shares[start:end].copy_(powers)
        d_biases.add_(powers.sum(dim=0))
    return losses, shares, d_right, d_biases
