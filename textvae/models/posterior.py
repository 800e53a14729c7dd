"""Posterior families that cannot collapse into the prior: by their means, or by their variances."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from textvae.randomness.noise import StepNoise

EPSILON = 1e-5  # added to the variance, as in torch's own batch normalisation
MOMENTUM = 0.1  # weight of the newest batch in the running statistics


class BatchNormalisedMeans(nn.Module):
    """Posterior means with the same spread in each dimension, whatever the encoder says.

    mean = scale * (m - mean of m over the batch) / (its standard deviation) + shift, of what the
    encoder gives, m; `scale` (gamma) is fixed, `shift` (beta) is learned. Zhu 2020, section 3:
    then the KL of a batch is on average at least sum_d (scale^2 + shift_d^2) / 2 nats, which is
    Z * scale^2 / 2 or more, as E[mean^2] = scale^2 + shift^2 in each dimension and no variance
    makes up for it. (But for an epsilon: an encoder whose m hardly vary is not held up.)

    With noise, that is in training, the batch is the global one, over all processes; without,
    running averages stand for it, so that a sentence's result is its own. They begin with the
    first batch instead of with guesses, as those of Adam do (Kingma & Ba 2015, section 3).
    """

    running_mean: Tensor  # (Z,)
    running_variance: Tensor  # (Z,)
    running_weight: Tensor  # (1,): what the batches so far weigh together, 1 in the long run

    def __init__(self, latent_size: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.shift = nn.Parameter(torch.zeros(latent_size))
        self.register_buffer("running_mean", torch.zeros(latent_size))
        self.register_buffer("running_variance", torch.ones(latent_size))
        self.register_buffer("running_weight", torch.zeros(1))

    def forward(self, means: Tensor, noise: StepNoise | None) -> Tensor:
        """Normalised means, shape (B, Z)."""
        if noise is None:
            centre, variance = self.running_mean, self.running_variance
        else:
            centre = noise.batch_mean(means)  # (Z,)
            variance = noise.batch_mean((means - centre) ** 2)
            self._remember(centre.detach(), variance.detach(), noise.total)
        return self.scale * (means - centre) * torch.rsqrt(variance + EPSILON) + self.shift

    @torch.no_grad()
    def _remember(self, centre: Tensor, variance: Tensor, total: int) -> None:
        finite = centre.isfinite().all() & variance.isfinite().all()  # else forgotten
        one = torch.ones_like(self.running_weight)
        weight = self.running_weight.lerp(one, MOMENTUM)
        newest = MOMENTUM / weight  # 1 for the first batch
        unbiased = variance * (total / max(total - 1, 1))
        for kept, moved in (
            (self.running_mean, self.running_mean.lerp(centre, newest)),
            (self.running_variance, self.running_variance.lerp(unbiased, newest)),
            (self.running_weight, weight),
        ):
            kept.copy_(torch.where(finite, moved, kept))


def largest_log_variance(rate: float) -> float:
    """The log of the variance v < 1 with KL(N(0, v) || N(0, 1)) = `rate` nats.

    A posterior whose variance stays below v costs at least `rate` nats in that dimension, whatever
    its mean: the committed rate of a delta-VAE (Razavi 2019, section 2). Theirs has a latent a
    step; the prior is an AR(1) process and the posterior independent over the steps, so that no
    member of the family is the prior. With one latent a sentence and both of them independent over
    its dimensions, being narrower is what keeps a posterior from the prior. It pays even where
    its mean says nothing; but then a mean that says something costs little more: means of
    variance 1 - v, which fill the prior, cost (1 - v) / 2 nats and tell -log(v) / 2.

    >>> round(largest_log_variance(0.25), 6)
    -1.19829
    """
    low, high = -(2 * rate + 1), 0.0  # the KL is above the rate, and zero
    for _ in range(200):  # halved until float64 has no number between
        middle = (low + high) / 2
        if (math.expm1(middle) - middle) / 2 >= rate:
            low = middle
        else:
            high = middle
    return low
