"""The diagonal Gaussian: the posterior q(z|x) of a vae, and the standard normal."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

LOG_2PI = math.log(2 * math.pi)


@dataclass(frozen=True, eq=False)  # tensors have no single truth value
class DiagonalGaussian:
    """N(mean, diag(exp(log_variance))) over the last axis; all other axes are batch axes.

    >>> q = DiagonalGaussian.standard(4, 32)
    >>> q.sample().shape, q.kl_to_standard_normal().sum().item()
    (torch.Size([4, 32]), 0.0)
    """

    mean: Tensor  # (..., Z)
    log_variance: Tensor  # (..., Z)

    @classmethod
    def standard(cls, *shape: int, device: torch.device | str | None = None) -> DiagonalGaussian:
        """N(0, I) of the given shape; the last axis is the latent size."""
        zeros = torch.zeros(shape, device=device)
        return cls(zeros, zeros)

    @property
    def stddev(self) -> Tensor:
        """The standard deviation of each dimension, shape (..., Z)."""
        return torch.exp(0.5 * self.log_variance)

    def sample(
        self, noise: Tensor | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """z = mean + stddev * noise, with standard normal noise, drawn if not given.

        `noise` may have leading axes, e.g. (K, B, Z) for K samples of each posterior.
        Kingma & Welling 2014, eq. 4.
        """
        if noise is None:
            noise = torch.randn(
                self.mean.shape,
                generator=generator,
                device=self.mean.device,
                dtype=self.mean.dtype,
            )
        return self.mean + self.stddev * noise

    def log_prob(self, z: Tensor) -> Tensor:
        """log N(z; mean, variance) in nats, summed over the latent axis."""
        scaled = (z - self.mean) ** 2 * torch.exp(-self.log_variance)
        return -0.5 * (scaled + self.log_variance + LOG_2PI).sum(-1)

    def kl_to_standard_normal(self) -> Tensor:
        """KL(q || N(0, I)) of each dimension, in nats, shape (..., Z).

        Kingma & Welling 2014, appendix B. For the KL to a model's prior, use `model.prior.kl`.
        """
        return 0.5 * (self.mean**2 + self.log_variance.exp() - 1 - self.log_variance)

    def __getitem__(self, rows: object) -> DiagonalGaussian:
        """The Gaussians of these rows of the batch."""
        return DiagonalGaussian(self.mean[rows], self.log_variance[rows])  # type: ignore[index]

    @classmethod
    def cat(cls, parts: list[DiagonalGaussian]) -> DiagonalGaussian:
        """The batches joined in order."""
        return cls(
            torch.cat([part.mean for part in parts]),
            torch.cat([part.log_variance for part in parts]),
        )
