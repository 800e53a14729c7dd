"""A prior that the package does not have, as a user would write one: a Gaussian mixture."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from textvae.gaussian import DiagonalGaussian
from textvae.models.prior import Prior, register_prior

COMPONENTS = 3


class GaussianMixture(Prior):
    """sum_c weight_c N(z; mean_c, diag(variance_c)), all of it learned with the model.

    One noise number more than Z chooses the component. The KL of a Gaussian to a mixture has no
    closed form.
    """

    def __init__(self, latent_size: int) -> None:
        super().__init__(latent_size, noise_size=latent_size + 1)
        self.logits = nn.Parameter(torch.zeros(COMPONENTS))
        self.means = nn.Parameter(torch.randn(COMPONENTS, latent_size))
        self.log_variances = nn.Parameter(torch.zeros(COMPONENTS, latent_size))

    def sample(self, noise: Tensor) -> Tensor:
        """z (N, Z): the last number of the noise chooses the component, the others place z."""
        cumulative = self.logits.to(noise).softmax(0).cumsum(0)
        uniform = torch.special.ndtr(noise[:, -1:])  # (N, 1)
        chosen = (uniform > cumulative[:-1]).sum(1)  # (N,)
        stddev = (0.5 * self.log_variances.to(noise)).exp()
        return self.means.to(noise)[chosen] + stddev[chosen] * noise[:, : self.latent_size]

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) in nats, (..., Z) -> (...)."""
        components = DiagonalGaussian(self.means.to(z), self.log_variances.to(z))  # (C, Z)
        weights = self.logits.to(z).log_softmax(0)
        return (weights + components.log_prob(z[..., None, :])).logsumexp(-1)


register_prior("mixture", GaussianMixture)
