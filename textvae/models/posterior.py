"""Posteriors: the vector of a sentence -> the distribution of its latent, or one point.

Two families cannot collapse to a standard normal prior: one constrains the means, the other the
variances.
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
from textvae.models.principal import PrincipalCode
from textvae.randomness.noise import StepNoise

EPSILON = 1e-5  # added to the variance, as in torch.nn.BatchNorm1d
MOMENTUM = 0.1  # weight of the newest batch in the running statistics


@dataclass(frozen=True, eq=False)  # tensors have no single truth value
class Point:
    """The latents of a deterministic encoder, one point per sentence, without a density."""

    mean: Tensor  # (B, Z)


class Posterior(Part):
    """Base class of posteriors: an encoder's vector -> the latent.

    Attributes:
        latent_size: Z.
        has_density: True if `forward` returns q(z|x), False if it returns a point.
    """

    has_density: bool

    def __init__(self, latent_size: int) -> None:
        super().__init__()
        self.latent_size = latent_size

    def forward(self, pooled: Tensor, noise: StepNoise | None = None) -> DiagonalGaussian | Point:
        """The latents of vectors (B, H), float32, shape (B, Z)."""
        raise NotImplementedError

    def start_from(self, code: PrincipalCode) -> None:
        """Replace the random weights of the first K dimensions by a linear code."""
        raise NotImplementedError


class PointPosterior(Posterior):
    """The code of an autoencoder: a linear layer over the encoder's vector."""

    has_density = False

    def __init__(self, config: ModelConfig, width: int, *, unit_length: bool = False) -> None:
        super().__init__(config.latent_size)
        self.head = nn.Linear(width, config.latent_size)
        if unit_length:
            enlarge(self.head.weight)

    def forward(self, pooled: Tensor, noise: StepNoise | None = None) -> Point:
        """The code of each vector."""
        return Point(self.head(pooled).float())

    @torch.no_grad()
    def start_from(self, code: PrincipalCode) -> None:
        """Take the means of a linear code as points."""
        K = len(code.bias)
        self.head.weight[:K] = code.weight.to(self.head.weight)
        self.head.bias[:K] = code.bias.to(self.head.bias)


class GaussianPosterior(Posterior):
    """q(z|x), a diagonal Gaussian from a linear layer. Kingma & Welling 2014, section 3.

    Options: batch-normalised means (Zhu 2020), and bounded variances, so that the KL to the
    standard normal never falls below a committed rate (Razavi 2019).

    Args:
        width: H, the width of the encoder's vectors.
        unit_length: the vectors have the length 1.
    """

    has_density = True

    def __init__(self, config: ModelConfig, width: int, *, unit_length: bool = False) -> None:
        super().__init__(config.latent_size)
        self.head = nn.Linear(width, 2 * config.latent_size)  # means, then log-variances
        if unit_length:
            enlarge(self.head.weight[: config.latent_size])
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
            # Batch norm cancels the bias of the means; Adam would still move it by rounding errors.
            bias = F.pad(bias[self.latent_size :], (self.latent_size, 0))
        parameters = F.linear(pooled, self.head.weight, bias)
        if self.normalised is not None or self.largest_log_variance is not None:
            parameters = parameters.to(self.head.weight.dtype)  # bf16 is too coarse for the bounds
        mean, log_variance = parameters.chunk(2, dim=-1)
        if self.normalised is not None:
            mean = self.normalised(mean, noise)
        if self.largest_log_variance is not None:
            log_variance = self.largest_log_variance - F.softplus(-log_variance)
        return DiagonalGaussian(mean.float(), log_variance.float())

    @torch.no_grad()
    def start_from(self, code: PrincipalCode) -> None:
        """Take the means and variances of a linear code; the variances are the same everywhere."""
        K, Z = len(code.bias), self.latent_size
        weight, bias = self.head.weight, self.head.bias
        weight[:K], bias[:K] = code.weight.to(weight), code.bias.to(bias)
        weight[Z : Z + K], bias[Z : Z + K] = 0, code.log_variance.to(bias)


@torch.no_grad()
def enlarge(weight: Tensor) -> None:
    """Multiply first weights (Z, H) by the root of H, in place.

    torch draws weights for inputs of about 1. The numbers of a vector of length 1 are smaller by
    the root of H, and the means of such vectors would differ by a few hundredths beside the unit
    noise of the posterior, so that the decoder learns to do without z.
    """
    weight.mul_(weight.size(1) ** 0.5)


class BatchNormalisedMeans(nn.Module):
    """Posterior means with a fixed standard deviation in each dimension.

    For the encoder's output m: mean = scale * (m - batch mean of m) / (batch stddev of m) + shift.
    `scale` (gamma) is fixed, `shift` (beta) is learned. Zhu 2020, section 3: E[mean^2] = scale^2 +
    shift^2 in each dimension, and no variance can compensate for it. So the KL of a batch is on
    average at least sum_d (scale^2 + shift_d^2) / 2 nats, which is Z * scale^2 / 2 or more. The
    bound fails if m is nearly constant, because of the epsilon under the root.

    With noise (in training) the statistics come from the global batch, over all processes.
    Without noise, running averages replace them, so that a result depends on its own sentence
    only. The averages start at the first batch, corrected for bias as in Adam (Kingma & Ba 2015,
    section 3).
    """

    running_mean: Tensor  # (Z,)
    running_variance: Tensor  # (Z,)
    running_weight: Tensor  # (1,): total weight of the batches so far, tends to 1

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
        finite = centre.isfinite().all() & variance.isfinite().all()  # else the batch is skipped
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
    its mean: the committed rate of a delta-VAE (Razavi 2019, section 2). Their model has a latent
    per step, an AR(1) prior and a posterior that is independent over the steps, so that the
    posterior cannot equal the prior. Here a sentence has one latent, and prior and posterior are
    both independent over the dimensions; the smaller variance keeps the posterior away from the
    prior. The rate is paid even if the mean carries no information. Informative means then cost
    little more: means of variance 1 - v, which fill the prior, cost (1 - v) / 2 nats and carry
    -log(v) / 2.

    >>> round(largest_log_variance(0.25), 6)
    -1.19829
    """
    low, high = -(2 * rate + 1), 0.0  # at `low` the KL exceeds the rate, at `high` it is 0
    for _ in range(200):  # bisection, to the precision of float64
        middle = (low + high) / 2
        if (math.expm1(middle) - middle) / 2 >= rate:
            low = middle
        else:
            high = middle
    return low
