"""The principal code: its KL, the variance of z, and what its means explain, by closed forms."""

from __future__ import annotations

import math

import pytest
import torch

from textvae.config import ModelConfig
from textvae.gaussian import DiagonalGaussian
from textvae.models.posterior import GaussianPosterior, PointPosterior
from textvae.models.principal import EVEN_SHARE, principal_code


def correlated(n: int, width: int) -> torch.Tensor:
    """Vectors (n, width) of falling variance in rotated directions, around a distant mean."""
    random = torch.Generator().manual_seed(0)
    spread = torch.logspace(0, -1.5, width)
    rotation = torch.linalg.qr(torch.randn(width, width, generator=random)).Q
    return 5 + (torch.randn(n, width, generator=random) * spread) @ rotation


@pytest.mark.parametrize("nats", [0.5, 8.0, 40.0])
@pytest.mark.parametrize("size", [3, 8])
def test_a_code_costs_its_nats_and_fills_the_prior(nats: float, size: int) -> None:
    vectors = correlated(300, 8)
    posterior = GaussianPosterior(ModelConfig(latent_size=size), 8)
    posterior.start_from(principal_code(vectors, size, nats))
    with torch.no_grad():
        q = posterior(vectors)
    assert isinstance(q, DiagonalGaussian)
    assert float(q.kl_to_standard_normal().sum(1).mean()) == pytest.approx(nats, rel=1e-3)
    torch.testing.assert_close(q.mean.mean(0), torch.zeros(size), atol=1e-3, rtol=0)
    of_z = q.mean.var(0, unbiased=False) + q.log_variance.exp().mean(0)
    torch.testing.assert_close(of_z, torch.ones(size), atol=1e-3, rtol=0)
    covariance = torch.cov(q.mean.T)
    torch.testing.assert_close(covariance, covariance.diag().diag(), atol=1e-3, rtol=0)


def test_the_means_span_the_first_components() -> None:
    vectors, k = correlated(300, 8), 3
    code = principal_code(vectors, k, 4.0)
    means = vectors @ code.weight.T + code.bias
    centred = vectors - vectors.mean(0)
    left = centred - means @ torch.linalg.lstsq(means, centred).solution
    variances = torch.linalg.svdvals(centred).square()
    assert float(left.square().sum()) == pytest.approx(float(variances[k:].sum()), rel=1e-3)


def test_above_its_even_share_each_component_keeps_the_same_error() -> None:
    """Reverse water-filling: the error of a component, in the unit of the vectors, is the level."""
    vectors, nats = correlated(500, 8), 6.0
    left = principal_code(vectors, 8, nats).log_variance.double().exp()
    centred = (vectors - vectors.mean(0)).double()
    errors = torch.linalg.svdvals(centred).square() / len(vectors) * left
    evenly = math.exp(-2 * EVEN_SHARE * nats / 8)
    below = left > evenly * (1 - 1e-5)
    assert 0 < int(below.sum()) < 8
    torch.testing.assert_close(errors[~below], errors[~below].mean().expand_as(errors[~below]))
    torch.testing.assert_close(left[below], torch.full_like(left[below], evenly))
    assert (errors[below] < errors[~below].mean()).all()


def test_dimensions_that_the_vectors_do_not_span_keep_their_weights() -> None:
    flat = correlated(100, 3) @ torch.eye(3, 5)
    for kind in (GaussianPosterior, PointPosterior):
        posterior = kind(ModelConfig(latent_size=4), 5)
        before = posterior.head.weight.detach().clone()
        posterior.start_from(principal_code(flat, 4, 3.0))
        changed = (posterior.head.weight != before).any(1)
        assert changed.tolist() == ([True] * 3 + [False]) * (len(before) // 4)
