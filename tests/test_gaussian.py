"""The diagonal Gaussian against torch.distributions."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence

from textvae.gaussian import DiagonalGaussian


@pytest.fixture
def q() -> DiagonalGaussian:
    """Five Gaussians of three dimensions, variances from 0.01 to 100."""
    generator = torch.Generator().manual_seed(0)
    mean = 3 * torch.randn(5, 3, generator=generator, dtype=torch.double)
    return DiagonalGaussian(
        mean, 9 * torch.rand(5, 3, generator=generator, dtype=torch.double) - 4.6
    )


def reference(q: DiagonalGaussian) -> Independent:
    return Independent(Normal(q.mean, (q.log_variance / 2).exp()), 1)


def test_density_is_the_product_of_normal_densities(q: DiagonalGaussian) -> None:
    z = torch.randn(4, 5, 3, dtype=torch.double)  # (K, B, Z)
    torch.testing.assert_close(q.log_prob(z), reference(q).log_prob(z))


def test_kl_is_that_to_the_standard_normal(q: DiagonalGaussian) -> None:
    prior = reference(DiagonalGaussian.standard(5, 3))
    torch.testing.assert_close(
        q.kl_to_standard_normal().sum(-1), kl_divergence(reference(q), prior)
    )
    assert (q.kl_to_standard_normal() > 0).all()
    assert (DiagonalGaussian.standard(5, 3).kl_to_standard_normal() == 0).all()


def test_samples_are_scaled_and_shifted_noise(q: DiagonalGaussian) -> None:
    noise = torch.randn(4, 5, 3, dtype=torch.double)  # (K, B, Z)
    z = q.sample(noise)
    for k in range(4):
        for row in range(5):
            for d in range(3):
                expected = q.mean[row, d] + q.stddev[row, d] * noise[k, row, d]
                assert z[k, row, d] == expected


def test_samples_have_the_moments_of_the_gaussian(q: DiagonalGaussian) -> None:
    count = 40_000
    z = q[torch.zeros(count, dtype=torch.long)].sample(generator=torch.Generator().manual_seed(1))
    error = 5 * q.stddev[0] / count**0.5
    assert ((z.mean(0) - q.mean[0]).abs() < error).all()
    torch.testing.assert_close(z.var(0).log(), q.log_variance[0], rtol=0, atol=5 * 2**0.5 / 200)


def test_samples_carry_the_gradient_to_mean_and_variance(q: DiagonalGaussian) -> None:
    mean, log_variance = q.mean.clone().requires_grad_(), q.log_variance.clone().requires_grad_()
    noise = torch.randn(5, 3, dtype=torch.double)
    DiagonalGaussian(mean, log_variance).sample(noise).sum().backward()
    torch.testing.assert_close(mean.grad, torch.ones_like(mean))
    torch.testing.assert_close(log_variance.grad, 0.5 * q.stddev * noise)


def test_rows_and_parts_make_the_whole(q: DiagonalGaussian) -> None:
    joined = DiagonalGaussian.cat([q[:2], q[2:]])
    assert (joined.mean == q.mean).all()
    assert (joined.log_variance == q.log_variance).all()
