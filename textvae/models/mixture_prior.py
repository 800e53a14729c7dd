"""A mixture of Gaussians as a prior, fitted to the latents of sentences after training."""

from __future__ import annotations

import torch
from torch import Tensor

from textvae.gaussian import LOG_2PI
from textvae.models.prior import Prior


class MixturePrior(Prior):
    """sum_c weight_c N(z; mean_c, factor_c factor_c^T) of C components; not trained with a model.

    The last of the Z + 1 noise numbers of a sample chooses the component.

    Args:
        latent_size: Z.
        components: C.
    """

    log_weights: Tensor  # (C,)
    means: Tensor  # (C, Z)
    factors: Tensor  # (C, Z, Z): Cholesky factors of the covariances

    def __init__(self, latent_size: int, components: int) -> None:
        super().__init__(latent_size, noise_size=latent_size + 1)
        self.components = components
        for name, shape in self.shapes(latent_size, components).items():
            self.register_buffer(name, torch.zeros(shape))

    @staticmethod
    def shapes(latent_size: int, components: int) -> dict[str, tuple[int, ...]]:
        """The shape of each tensor, by name."""
        C, Z = components, latent_size
        return {"log_weights": (C,), "means": (C, Z), "factors": (C, Z, Z)}

    def sample(self, noise: Tensor) -> Tensor:
        """z (N, Z): mean_c + factor_c @ noise, c chosen by the last number of the noise."""
        cumulative = self.log_weights.double().exp().cumsum(0).to(noise)
        uniform = torch.special.ndtr(noise[:, -1:])  # (N, 1)
        chosen = (uniform > cumulative[:-1]).sum(1)  # (N,)
        z = self.means.to(noise)[chosen]
        for c in chosen.unique().tolist():  # a factor for each row would take Z times the memory
            rows = chosen == c
            z[rows] += noise[rows, :-1] @ self.factors[c].to(noise).T
        return z

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) in nats, (..., Z) -> (...)."""
        flat = z.reshape(-1, self.latent_size)
        factors, means = self.factors.to(z), self.means.to(z)
        densities = []
        for factor, mean in zip(factors, means, strict=True):
            centred = (flat - mean).T  # (Z, N)
            white = torch.linalg.solve_triangular(factor, centred, upper=False)
            densities.append(-0.5 * white.square().sum(0) - factor.diagonal().log().sum())
        weighted = torch.stack(densities, dim=-1) + self.log_weights.to(z)  # (N, C)
        total: Tensor = weighted.logsumexp(-1) - 0.5 * self.latent_size * LOG_2PI
        return total.view(z.shape[:-1])
