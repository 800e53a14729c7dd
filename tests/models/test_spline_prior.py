"""A spline prior is a distribution: its density integrates to 1 and belongs to its samples."""

from __future__ import annotations

import math
import sys

import pytest
import torch
from torch.distributions import Distribution

from textvae.errors import UsageError
from textvae.models.prior import CodeGaussian
from textvae.models.spline_prior import SplinePrior, spline_transform


def random_spline(latent_size: int, seed: int = 0) -> SplinePrior:
    """A spline far from its Gaussian."""
    pytest.importorskip("zuko")
    random = torch.Generator().manual_seed(seed)
    prior = SplinePrior(latent_size, width=8, layers=4, bins=4).requires_grad_(False)
    for parameter in prior.parameters():
        parameter.copy_(0.4 * torch.randn(parameter.shape, generator=random))
    prior.mean.copy_(torch.randn(latent_size, generator=random))
    square = torch.randn(latent_size, latent_size, generator=random)
    prior.factor.copy_(0.5 * square.tril(-1) + torch.eye(latent_size))
    return prior


def test_the_density_integrates_to_1_in_one_dimension() -> None:
    prior = random_spline(1)
    z = torch.linspace(-9, 9, 10_001, dtype=torch.float64)
    density = prior.log_prob(z[:, None]).exp()
    assert torch.trapezoid(density, z).item() == pytest.approx(1, abs=1e-4)
    gaussian = CodeGaussian(1)
    gaussian.load_state_dict({"mean": prior.mean, "factor": prior.factor})
    assert (density - gaussian.log_prob(z[:, None]).exp()).abs().max() > 0.1


def test_the_density_integrates_to_1_in_two_dimensions() -> None:
    prior = random_spline(2)
    axis = torch.linspace(-8, 8, 301, dtype=torch.float64)
    density = prior.log_prob(torch.cartesian_prod(axis, axis).view(301, 301, 2)).exp()
    total = torch.trapezoid(torch.trapezoid(density, axis), axis)
    assert total.item() == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize("latent_size", [1, 2, 5, 8])
def test_the_density_of_a_sample_is_that_of_its_noise_over_the_volume(latent_size: int) -> None:
    """log p(z(e)) = log N(e; 0, I) - log |det dz/de|, with dz/de by central differences."""
    prior = random_spline(latent_size, seed=latent_size)
    noise = torch.randn(6, latent_size, generator=torch.Generator().manual_seed(3)).double()
    step = 1e-6 * torch.eye(latent_size, dtype=torch.float64)
    slopes = [(prior.sample(noise + one) - prior.sample(noise - one)) / 2e-6 for one in step]
    jacobians = torch.stack(slopes, dim=2)  # (6, Z, Z)
    normal = -0.5 * (noise.square().sum(1) + latent_size * math.log(2 * math.pi))
    expected = normal - torch.linalg.slogdet(jacobians).logabsdet
    torch.testing.assert_close(prior.log_prob(prior.sample(noise)), expected, atol=1e-4, rtol=0)
    if latent_size > 2:
        assert (jacobians.abs().amax(0) > 1e-4).all()  # each number of z depends on all the noise


def test_without_weights_it_is_the_gaussian() -> None:
    pytest.importorskip("zuko")
    random = torch.Generator().manual_seed(0)
    prior, gaussian = SplinePrior(3, width=8, layers=3, bins=5), CodeGaussian(3)
    prior.initialize(random)
    gaussian.fit(torch.randn(50, 3, generator=random) @ torch.randn(3, 3, generator=random) + 2)
    prior.mean.copy_(gaussian.mean)
    prior.factor.copy_(gaussian.factor)
    noise = torch.randn(4, 20, 3, generator=random)
    torch.testing.assert_close(prior.sample(noise[0]), gaussian.sample(noise[0]))
    torch.testing.assert_close(prior.log_prob(3 * noise), gaussian.log_prob(3 * noise))


def test_a_sample_is_that_of_its_noise_alone() -> None:
    prior = random_spline(5)
    noise = torch.randn(40, 5, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(prior.sample(noise[:3]), prior.sample(noise)[:3])


def test_the_package_leaves_the_checks_of_torch_as_they_were(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("zuko")
    for name in [name for name in sys.modules if name.partition(".")[0] == "zuko"]:
        monkeypatch.delitem(sys.modules, name)
    for checks in (True, False):
        monkeypatch.setattr(Distribution, "_validate_args", checks)
        spline_transform()
        assert Distribution._validate_args is checks


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("zuko", "zuko.transforms"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UsageError, match=r"needs the package zuko.*textvae\[flows\]"):
        SplinePrior(2, width=8, layers=2, bins=4)
