"""Fitted priors recover distributions that are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from textvae.errors import DataError
from textvae.evaluation.likelihood import ImportanceSamples
from textvae.gaussian import DiagonalGaussian
from textvae.latent.flow_matching import fit_flow, matching_loss
from textvae.latent.prior_fitting import (
    expectation_maximization,
    fit_gaussian,
    fit_mixture,
    posterior_samples,
    told_apart,
)
from textvae.latent.spline_fitting import fit_spline
from textvae.models.flow_prior import FlowPrior
from textvae.models.prior import CodeGaussian


def points(z: Tensor) -> DiagonalGaussian:
    """Posteriors without spread."""
    return DiagonalGaussian(z, torch.full_like(z, -math.inf))


def random(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def two_clusters(n: int, seed: int) -> Tensor:
    """A quarter of N([3, 0], diag(0.25, 1)) and three quarters of N([-2, 1], a correlated one)."""
    noise = torch.randn(n, 2, generator=random(seed), dtype=torch.float64)
    first = noise * torch.tensor([0.5, 1.0]) + torch.tensor([3.0, 0.0])
    second = noise @ torch.tensor([[1.0, 0.6], [0.0, 0.8]]).double() + torch.tensor([-2.0, 1.0])
    return torch.where((torch.arange(n) % 4 == 0)[:, None], first, second)


def moons(n: int, seed: int) -> Tensor:
    """Two half circles that reach into each other, with noise."""
    angle = math.pi * torch.rand(n, generator=random(seed))
    upper = torch.stack([angle.cos(), angle.sin()], dim=1)
    lower = torch.stack([1 - angle.cos(), 0.5 - angle.sin()], dim=1)
    both = torch.where((torch.arange(n) % 2 == 0)[:, None], upper, lower)
    return both + 0.1 * torch.randn(n, 2, generator=random(seed + 1))


# gaussians


def test_the_gaussian_has_the_moments_of_the_aggregate_posterior() -> None:
    means = torch.randn(300, 3, generator=random(0)) @ torch.randn(3, 3, generator=random(1))
    q = DiagonalGaussian(means, torch.randn(300, 3, generator=random(2)))
    prior = fit_gaussian(q)
    samples = posterior_samples(q, seed=0, least=200_000)
    torch.testing.assert_close(prior.mean.double(), samples.mean(0), atol=0.02, rtol=0)
    covariance = (prior.factor @ prior.factor.T).double()
    torch.testing.assert_close(covariance, samples.T.cov(), atol=0.05, rtol=0.02)


def test_a_fitted_gaussian_gives_the_exact_likelihood_of_a_linear_gaussian_model() -> None:
    """x = A z + noise with z ~ N(m, S): fitted to exact posteriors, the prior is N(m, S) again."""
    loading = torch.linalg.qr(torch.randn(5, 3, generator=random(1), dtype=torch.float64)).Q
    centre = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    variance, s = torch.tensor([0.5, 2.0, 1.0], dtype=torch.float64), 0.3
    z = centre + variance.sqrt() * torch.randn(40_000, 3, generator=random(2)).double()
    x = z @ loading.T + s * torch.randn(len(z), 5, generator=random(3)).double()
    precision = 1 / variance + 1 / s**2
    mean = (centre / variance + x @ loading / s**2) / precision
    q = DiagonalGaussian(mean, -precision.log().expand_as(mean))
    fitted = fit_gaussian(q)
    torch.testing.assert_close(fitted.mean.double(), centre, atol=0.03, rtol=0)
    covariance = (fitted.factor @ fitted.factor.T).double()
    torch.testing.assert_close(covariance, variance.diag(), atol=0.04, rtol=0)

    exact = CodeGaussian(3).double()
    exact.fit_moments(centre, variance.diag())

    def log_likelihood(z: Tensor) -> Tensor:
        there = z @ loading.T
        return DiagonalGaussian(there, torch.full_like(there, 2 * math.log(s))).log_prob(x[:4])

    truth = torch.distributions.MultivariateNormal(
        loading @ centre, loading @ variance.diag() @ loading.T + s**2 * torch.eye(5).double()
    ).log_prob(x[:4])
    noise = torch.randn(2, 4, 3, generator=random(4), dtype=torch.float64)
    drawn = ImportanceSamples.draw(q[:4], noise, log_likelihood, exact.log_prob)
    torch.testing.assert_close(drawn.nll, -truth, rtol=0, atol=1e-5)  # the jitter of the fit
    near = ImportanceSamples.draw(q[:4], noise, log_likelihood, fitted.log_prob)
    torch.testing.assert_close(near.nll, -truth, rtol=0, atol=0.1)


# mixtures


def test_a_mixture_is_found_again_with_its_number_of_components() -> None:
    found = fit_mixture(points(two_clusters(2000, 0)), points(two_clusters(1000, 5)))
    assert found.held_out[2] > found.held_out[1] + 0.1
    assert max(found.held_out, key=lambda c: found.held_out[c]) == len(found.prior.means)
    prior = expectation_maximization(two_clusters(4000, 0).numpy(), 2)
    order = prior.log_weights.argsort()
    weights, means = prior.log_weights.exp()[order], prior.means[order]
    torch.testing.assert_close(weights, torch.tensor([0.25, 0.75]), atol=0.02, rtol=0)
    torch.testing.assert_close(means, torch.tensor([[3.0, 0.0], [-2.0, 1.0]]), atol=0.1, rtol=0)
    covariance = prior.factors[order] @ prior.factors[order].mT
    expected = torch.tensor([[[0.25, 0.0], [0.0, 1.0]], [[1.0, 0.6], [0.6, 1.0]]])
    torch.testing.assert_close(covariance, expected, atol=0.1, rtol=0)


def test_one_component_is_the_gaussian() -> None:
    z = two_clusters(2000, 0)
    one, gaussian = expectation_maximization(z.numpy(), 1), fit_gaussian(points(z))
    torch.testing.assert_close(one.means[0], gaussian.mean, atol=1e-4, rtol=0)
    torch.testing.assert_close(one.factors[0], gaussian.factor, atol=5e-3, rtol=0)


def test_more_components_than_different_vectors_are_refused() -> None:
    with pytest.raises(DataError, match="5 components"):
        expectation_maximization(np.eye(3).repeat(10, axis=0), 5)


# flows


def test_flow_matching_moves_noise_to_two_moons() -> None:
    flow = fit_flow(points(moons(4000, 0)), points(moons(1000, 7)), steps=600, width=64, layers=2)
    real, noise = moons(2000, 20), torch.randn(2000, 2, generator=random(3))
    z = flow.sample(noise)
    gaussian = fit_gaussian(points(moons(4000, 0))).sample(noise)
    apart = [told_apart(one, real) - 0.5 for one in (z, gaussian)]
    assert apart[0] < 0.5 * apart[1]
    torch.testing.assert_close(z.mean(0), real.mean(0), atol=0.06, rtol=0)
    torch.testing.assert_close(z.T.cov(), real.T.cov(), atol=0.06, rtol=0)
    torch.testing.assert_close(flow.sample(noise[:5]), z[:5], atol=1e-5, rtol=0)
    assert not any(parameter.requires_grad for parameter in flow.parameters())


def test_a_flow_is_a_function_of_the_seed_and_leaves_torch_its_own() -> None:
    q, other = points(moons(200, 0)), points(moons(100, 5))
    state = torch.get_rng_state()
    runs = [fit_flow(q, other, steps=5, width=8, layers=1, seed=seed) for seed in (1, 1, 2)]
    assert torch.equal(torch.get_rng_state(), state)
    same, again, another = (run.inner for run in runs)
    assert torch.equal(same, again)
    assert not torch.equal(same, another)


def test_the_loss_is_least_at_the_mean_velocity_between_normals() -> None:
    flow = FlowPrior(2, width=8, layers=1)
    flow.initialize(random(0))
    x_0, x_1 = torch.randn(2, 20_000, 2, generator=random(1))
    t = torch.rand(20_000, 1, generator=random(2))
    best = matching_loss(flow, x_0, x_1, t)
    for shift in (-0.2, 0.2):
        with torch.no_grad():
            flow.read_bias.copy_(torch.arange(8.0))
            flow.write.copy_(shift * torch.randn(2, 8, generator=random(3)))
        assert matching_loss(flow, x_0, x_1, t) > best


# splines


def two_clusters_density(z: Tensor) -> Tensor:
    """log p(z) of `two_clusters`."""
    first = MultivariateNormal(torch.tensor([3.0, 0.0]), torch.diag(torch.tensor([0.25, 1.0])))
    second = MultivariateNormal(torch.tensor([-2.0, 1.0]), torch.tensor([[1.0, 0.6], [0.6, 1.0]]))
    parts = [first.log_prob(z) + math.log(0.25), second.log_prob(z) + math.log(0.75)]
    return torch.stack(parts).logsumexp(0)


def test_a_spline_comes_near_a_known_density() -> None:
    pytest.importorskip("zuko")
    z, other = two_clusters(4000, 0).float(), two_clusters(1000, 5).float()
    spline = fit_spline(points(z), points(other), steps=250, width=32, layers=3, bins=6)
    test = two_clusters(2000, 9).float()
    gaussian = fit_gaussian(points(z)).log_prob(test).mean().item()
    truth, found = two_clusters_density(test).mean().item(), spline.log_prob(test).mean().item()
    assert truth - gaussian > 0.4
    assert abs(truth - found) < 0.15
    drawn = spline.sample(torch.randn(2000, 2, generator=random(3)))
    assert told_apart(drawn, test) < told_apart(two_clusters(2000, 11), test) + 0.05
    assert not any(parameter.requires_grad for parameter in spline.parameters())


def test_a_spline_is_never_worse_on_held_out_posteriors_than_the_gaussian() -> None:
    """With 40 different vectors a long training overfits, and ends early."""
    pytest.importorskip("zuko")
    z, other = torch.randn(2, 40, 6, generator=random(0))
    told: list[int] = []
    spline = fit_spline(
        points(z),
        points(other),
        steps=2_000,
        width=32,
        layers=2,
        bins=4,
        progress=lambda name, done, total: told.append(done),
    )
    gaussian = fit_gaussian(points(z))
    assert spline.log_prob(other).mean() >= gaussian.log_prob(other).mean() - 1e-4
    assert told[-1] == 2_000
    assert told[-2] < 1_000  # ended


def test_a_spline_is_a_function_of_the_seed_and_leaves_torch_its_own() -> None:
    pytest.importorskip("zuko")
    q, other = points(moons(200, 0)), points(moons(100, 5))
    state = torch.get_rng_state()
    runs = [fit_spline(q, other, steps=5, width=8, layers=2, bins=3, seed=s) for s in (1, 1, 2)]
    assert torch.equal(torch.get_rng_state(), state)
    same, again, another = (run.inner for run in runs)
    assert torch.equal(same, again)
    assert not torch.equal(same, another)


# the test of two samples


def test_nearest_neighbors_tell_apart_what_differs() -> None:
    x = torch.tensor([[0.0], [1.0], [10.0]])
    y = torch.tensor([[2.5], [10.5], [11.2]])  # nearest of all six: 1, 0, 10.5, 1, 10, 10.5
    assert told_apart(x, y) == pytest.approx(3 / 6)
    one, other = torch.randn(2, 1500, 8, generator=random(2))
    assert told_apart(one, other) == pytest.approx(0.5, abs=0.05)
    assert told_apart(one, other + 1000) == 1
    assert told_apart(one, 1.5 * other) > 0.6
