"""Gaussians and mixtures fitted to the aggregate posterior, the mean of q(z|x) over sentences.

A code of an autoencoder counts as a Gaussian without spread.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from textvae.errors import DataError
from textvae.gaussian import DiagonalGaussian
from textvae.latent.moments import Moments
from textvae.models.mixture_prior import MixturePrior
from textvae.models.prior import CodeGaussian
from textvae.progress import Progress, no_progress
from textvae.randomness.purposes import Purpose
from textvae.randomness.streams import generator

SAMPLES = 20_000  # of posteriors for a mixture: the more samples a sentence, the fewer sentences
MOST_COMPONENTS = 128  # that are tried
_ITERATIONS = 30  # of EM
_TOLERANCE = 1e-2  # nats a sample, below which EM ends
_FLOOR = 1e-3  # least variance, as a share of the mean variance


def fit_gaussian(q: DiagonalGaussian) -> CodeGaussian:
    """The Gaussian with the mean and the covariance of the aggregate of posteriors (N, Z)."""
    means, variances = q.mean.cpu().double(), q.log_variance.cpu().double().exp()
    moments = Moments(means.size(1))
    moments.add(means.numpy())
    prior = CodeGaussian(means.size(1))
    covariance = torch.from_numpy(moments.covariance) + variances.mean(0).diag()
    prior.fit_moments(torch.from_numpy(moments.mean), covariance)
    return prior


@dataclass(frozen=True, eq=False)
class MixtureFit:
    """A mixture, and the held-out log density of each number of components that was tried.

    Args:
        held_out: components -> mean log p(z) of samples of the held-out posteriors, in nats.
    """

    prior: MixturePrior
    held_out: dict[int, float]


def fit_mixture(
    q: DiagonalGaussian,
    held_out: DiagonalGaussian,
    *,
    components: int | None = None,
    most: int = MOST_COMPONENTS,
    seed: int = 0,
    progress: Progress = no_progress,
) -> MixtureFit:
    """The mixture of Gaussians of posteriors (N, Z), by EM on samples of the posteriors.

    Args:
        held_out: posteriors of other sentences. The number of components is doubled from 1 while
            the density of samples of these posteriors rises.
        components: this number instead.
        most: try no more components than these.

    Raises:
        DataError: fewer different samples than components.
    """
    z, other = posterior_samples(q, seed), posterior_samples(held_out, seed + 1)
    doubled = [2**k for k in range(MOST_COMPONENTS.bit_length())]
    most = max(min(most, len(q.mean) // 4), 1)
    numbers = [components] if components else [c for c in doubled if c <= most]
    best: MixturePrior | None = None
    scores: dict[int, float] = {}
    for place, number in enumerate(numbers):
        progress("mixture", place, len(numbers))
        found = expectation_maximization(z.numpy(), number, seed)
        scores[number] = found.log_prob(other).mean().item()
        if best is not None and scores[number] <= max(scores[c] for c in scores if c != number):
            break
        best = found
    progress("mixture", len(numbers), len(numbers))
    assert best is not None  # one number at least was tried
    return MixtureFit(best, scores)


def expectation_maximization(
    z: NDArray[np.float64], components: int, seed: int = 0
) -> MixturePrior:
    """The maximum-likelihood mixture of vectors (N, Z), from a start by k-means. Dempster 1977.

    Raises:
        DataError: fewer different vectors than components.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    if components > len(z) or (components > 1 and len(np.unique(z, axis=0)) < components):
        raise DataError(f"{components:,} components need as many different vectors; use fewer")
    scale = float(np.sqrt(z.var(0).mean())) or 1.0
    found = GaussianMixture(
        components,
        tol=_TOLERANCE,
        reg_covar=_FLOOR,
        max_iter=_ITERATIONS,
        random_state=seed % 2**32,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the held-out density decides
        found.fit(z / scale)
    prior = MixturePrior(z.shape[1], components)
    prior.log_weights.copy_(torch.from_numpy(np.log(found.weights_)))
    prior.means.copy_(torch.from_numpy(found.means_ * scale))
    prior.factors.copy_(torch.from_numpy(np.linalg.cholesky(found.covariances_) * scale))
    return prior


def posterior_samples(q: DiagonalGaussian, seed: int, least: int = SAMPLES) -> Tensor:
    """Samples of each posterior, about `least` in total, float64 on the CPU, (S N, Z).

    Codes, which have no spread, are taken once.
    """
    N, Z = q.mean.shape
    rows = max(1, round(least / N)) if bool(q.log_variance.isfinite().any()) else 1
    noise = generator(seed, 0, Purpose.PRIOR_FIT).standard_normal((rows, N, Z))
    own = DiagonalGaussian(q.mean.cpu().double(), q.log_variance.cpu().double())
    return own.sample(torch.from_numpy(noise)).reshape(-1, Z)


def told_apart(x: Tensor, y: Tensor) -> float:
    """The share of samples x (N, Z) and y (N, Z) whose nearest neighbor is of their own set.

    0.5: the sets cannot be told apart; 1: they are far apart. It is the leave-one-out accuracy of a
    1-nearest-neighbor classifier, a test of two samples (Lopez-Paz & Oquab 2017, section 3). No
    sample may stand twice in its set: its copy would always be the nearest neighbor.
    """
    both = torch.cat([x, y]).double()
    nearest = torch.cdist(both, both).fill_diagonal_(torch.inf).argmin(1)
    of_x = torch.arange(len(both)) < len(x)
    return (of_x[nearest] == of_x).double().mean().item()
