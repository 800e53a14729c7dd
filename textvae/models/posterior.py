"""Posteriors: the vector of a sentence -> the distribution of its latent, or one point.

Two families cannot collapse into a standard normal prior: one by its means, one by its variances.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from textvae.config import ModelConfig
from textvae.gaussian import DiagonalGaussian
from textvae.models.part import Part
from textvae.randomness.noise import StepNoise

EPSILON = 1e-5  # added to the variance, as in torch's own batch normalisation
MOMENTUM = 0.1  # weight of the newest batch in the running statistics


@dataclass(frozen=True, eq=False)  # tensors have no single truth value
class Point:
    """The one latent that a deterministic encoder gives a sentence; it has no density."""

    mean: Tensor  # (B, Z)


class Posterior(Part):
    """What an encoder's vector says of the latent.

    Attributes:
        latent_size: Z.
        has_density: True if `forward` gives q(z|x), False if it gives a point.
    """

    has_density: bool

    def __init__(self, latent_size: int) -> None:
        super().__init__()
        self.latent_size = latent_size

    def forward(self, pooled: Tensor, noise: StepNoise | None = None) -> DiagonalGaussian | Point:
        """The latents of vectors (B, H), float32, shape (B, Z)."""
        raise NotImplementedError


class PointPosterior(Posterior):
    """A linear layer from the vector to the code of an autoencoder."""

    has_density = False

    def __init__(self, config: ModelConfig, width: int) -> None:
        super().__init__(config.latent_size)
        self.head = nn.Linear(width, config.latent_size)

    def forward(self, pooled: Tensor, noise: StepNoise | None = None) -> Point:
        """The code of each vector."""
        return Point(self.head(pooled).float())


class GaussianPosterior(Posterior):
    """q(z|x), a diagonal Gaussian by a linear layer; Kingma & Welling 2014, section 3.

    Its means may be batch-normalised (Zhu 2020) and its variances bounded so that its KL to the
    standard normal keeps a committed rate (Razavi 2019).
    """

    has_density = True

    def __init__(self, config: ModelConfig, width: int) -> None:
        super().__init__(config.latent_size)
        self.head = nn.Linear(width, 2 * config.latent_size)  # means, then log-variances
        self.normalised: BatchNormalisedMeans | None = None
        if config.posterior_batch_norm:
            self.normalised = BatchNormalisedMeans(config.latent_size, config.posterior_batch_norm)
        self.largest_log_variance: float | None = None
        if config.committed_rate:
            rate = config.committed_rate / config.latent_size  # of each dimension
            self.largest_log_variance = largest_log_variance(rate)

    def forward(self, pooled: Tensor, noise: StepNoise | None = None) -> DiagonalGaussian:
        """q(z|x) of each vector."""
        bias: Tensor = self.head.bias
        if self.normalised is not None:
            # A bias of the means cancels; Adam would still walk it along its rounding errors.
            bias = F.pad(bias[self.latent_size :], (self.latent_size, 0))
        parameters = F.linear(pooled, self.head.weight, bias)
        if self.normalised is not None or self.largest_log_variance is not None:
            parameters = parameters.to(self.head.weight.dtype)  # bounds that bf16 would not keep
        mean, log_variance = parameters.chunk(2, dim=-1)
        if self.normalised is not None:
            mean = self.normalised(mean, noise)
        if self.largest_log_variance is not None:
            log_variance = self.largest_log_variance - F.softplus(-log_variance)
        return DiagonalGaussian(mean.float(), log_variance.float())


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
