"""Priors p(z): samples from noise, the density, and the KL of a posterior to the prior."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from textvae.config.schema import PRIORS_OF_A_VAE
from textvae.gaussian import DiagonalGaussian
from textvae.models.part import Part


class Prior(Part):
    """Base class of priors: a distribution of latents (..., Z).

    A subclass implements `sample` and `log_prob`; `kl` is then an estimate. Parameters are trained
    with the model. Methods accept tensors of any device and dtype and return the same, so a prior
    converts its parameters, as in `self.mean.to(z)`. See `register_prior`.

    Args:
        latent_size: Z.
        noise_size: how many standard normal numbers a sample needs; default: Z.
    """

    is_fitted = False  # True after a prior was fitted to the codes of sentences
    has_density = True  # False for a prior that only draws samples

    def __init__(self, latent_size: int, noise_size: int | None = None) -> None:
        super().__init__()
        self.latent_size = latent_size
        self.noise_size = latent_size if noise_size is None else noise_size

    def sample(self, noise: Tensor) -> Tensor:
        """z (N, Z) from standard normal noise (N, noise_size)."""
        raise NotImplementedError

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) in nats, (..., Z) -> (...)."""
        raise NotImplementedError

    def kl_per_dimension(self, q: DiagonalGaussian) -> Tensor | None:
        """KL(q || p) of each dimension in nats, (..., Z); None if it is no sum over dimensions."""
        return None

    def exact_kl(self, q: DiagonalGaussian) -> Tensor | None:
        """KL(q || p) of posteriors (..., Z) in nats, (...); None without a closed form."""
        split = self.kl_per_dimension(q)
        return None if split is None else split.sum(-1)

    def kl(self, q: DiagonalGaussian, z: Tensor) -> Tensor:
        """KL(q || p) in nats: exact if there is a closed form, else log q(z) - log p(z).

        Args:
            q: posteriors (B, Z).
            z: one sample of each, (B, Z), or K samples, (K, B, Z); unused if the KL is exact.

        Returns:
            Shape (B,). An estimate is the mean over the samples.
        """
        exact = self.exact_kl(q)
        if exact is not None:
            return exact
        estimate = q.log_prob(z) - self.log_prob(z)
        return estimate.mean(0) if z.dim() > q.mean.dim() else estimate


class StandardNormal(Prior):
    """N(0, I), the prior of Kingma & Welling 2014."""

    def sample(self, noise: Tensor) -> Tensor:
        """The noise itself."""
        return noise

    def log_prob(self, z: Tensor) -> Tensor:
        """log N(z; 0, I) in nats, (..., Z) -> (...)."""
        return DiagonalGaussian.standard(self.latent_size, device=z.device).log_prob(z)

    def kl_per_dimension(self, q: DiagonalGaussian) -> Tensor:
        """KL(q || N(0, I)) of each dimension in nats, (..., Z)."""
        return q.kl_to_standard_normal()


class CodeGaussian(Prior):
    """A Gaussian with full covariance for the codes of an autoencoder; N(0, I) until `fit`."""

    mean: Tensor  # (Z,)
    factor: Tensor  # (Z, Z): Cholesky factor of the covariance

    def __init__(self, latent_size: int) -> None:
        super().__init__(latent_size)
        self.register_buffer("mean", torch.zeros(latent_size))
        self.register_buffer("factor", nn.init.eye_(torch.empty(latent_size, latent_size)))

    def sample(self, noise: Tensor) -> Tensor:
        """mean + factor @ noise, (N, Z)."""
        return self.mean.to(noise) + noise @ self.factor.to(noise).T

    def log_prob(self, z: Tensor) -> Tensor:
        """log N(z; mean, factor factor^T) in nats, (..., Z) -> (...)."""
        standard = DiagonalGaussian.standard(self.latent_size, device=z.device)
        return standard.log_prob(self._whitened(z)) - self.factor.to(z).diagonal().log().sum()

    def exact_kl(self, q: DiagonalGaussian) -> Tensor:
        """KL(q || N(mean, factor factor^T)) of diagonal Gaussians (..., Z) in nats, (...)."""
        size, factor = self.latent_size, self.factor.to(q.mean)
        inverse = torch.linalg.solve_triangular(factor, torch.eye(size).to(factor), upper=False)
        trace = q.log_variance.exp() @ inverse.square().sum(0)
        log_ratio = 2 * factor.diagonal().log().sum() - q.log_variance.sum(-1)
        return 0.5 * (trace + self.distance(q.mean).square() - size + log_ratio)

    def distance(self, z: Tensor) -> Tensor:
        """The Mahalanobis distance to the mean, in standard deviations, (..., Z) -> (...)."""
        return self._whitened(z).norm(dim=-1)

    def _whitened(self, z: Tensor) -> Tensor:
        """factor^-1 (z - mean), (..., Z)."""
        flat = (z - self.mean.to(z)).reshape(-1, self.latent_size)
        return torch.linalg.solve_triangular(self.factor.to(z), flat.T, upper=False).T.view(z.shape)

    @property
    def stddev(self) -> Tensor:
        """The standard deviation of each dimension, (Z,)."""
        return self.factor.square().sum(1).sqrt()

    @property
    def is_fitted(self) -> bool:  # type: ignore[override]
        """True after `fit`."""
        standard = torch.eye(self.latent_size, device=self.factor.device)
        return bool(self.mean.any()) or not torch.equal(self.factor, standard)

    @torch.no_grad()
    def fit(self, codes: Tensor) -> None:
        """Fit the mean and the covariance to codes (N, Z)."""
        codes = codes.cpu().double()  # in this order: MPS has no float64
        centred = codes - codes.mean(0)
        self.fit_moments(codes.mean(0), centred.T @ centred / max(len(codes) - 1, 1))

    @torch.no_grad()
    def fit_moments(self, mean: Tensor, covariance: Tensor) -> None:
        """Take this mean (Z,) and covariance (Z, Z), both float64."""
        jitter = 1e-6 * (1 + covariance.trace() / self.latent_size)  # for codes in a subspace
        covariance = covariance + jitter * torch.eye(self.latent_size, dtype=torch.double)
        self.mean.copy_(mean)
        self.factor.copy_(torch.linalg.cholesky(covariance))


PRIORS: dict[str, type[Prior]] = {"standard": StandardNormal}  # priors of a vae, by name


def register_prior(name: str, prior: type[Prior]) -> None:
    """Make `--set model.prior=NAME` mean `prior`, whose constructor takes the latent size.

    >>> class Shifted(StandardNormal):
    ...     def sample(self, noise: Tensor) -> Tensor:
    ...         return noise + 1
    >>> register_prior("shifted", Shifted)
    """
    PRIORS[name] = prior
    PRIORS_OF_A_VAE.add(name)
