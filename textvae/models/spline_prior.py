"""A prior that moves noise to latents by invertible splines: samples and an exact density.

A neural spline flow (Durkan 2019). The splines are those of the package zuko, the extra `flows`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.nn.functional import linear, silu

from textvae.errors import UsageError
from textvae.gaussian import DiagonalGaussian
from textvae.models.prior import Prior

BOUND = 5.0  # standard deviations; beyond them the splines change nothing
LEAST_SLOPE = 1e-3  # of a spline


class SplinePrior(Prior):
    """z = mean + factor @ x, where L coupling layers move x to noise. Durkan 2019, section 3.

    A layer moves half of the numbers of x, each by a monotonic rational-quadratic spline, whose
    knots a network computes from the other half. Where the network gives 0, the splines are the
    identity, and z follows the Gaussian N(mean, factor factor^T).

    Args:
        latent_size: Z.
        width: W, hidden numbers of each network.
        layers: L.
        bins: K of each spline, between K + 1 knots.

    Raises:
        UsageError: the package zuko is not installed.
    """

    mean: Tensor  # (Z,)
    factor: Tensor  # (Z, Z)
    read: nn.Parameter  # (L, W, Z // 2)
    read_bias: nn.Parameter  # (L, W)
    inner: nn.Parameter  # (L, W, W)
    inner_bias: nn.Parameter  # (L, W)
    write: nn.Parameter  # (L, M, W): M = (3 K - 1) numbers for each of the Z - Z // 2 splines
    write_bias: nn.Parameter  # (L, M)

    def __init__(self, latent_size: int, width: int, layers: int, bins: int) -> None:
        super().__init__(latent_size)
        self.width, self.layers, self.bins = width, layers, bins
        self._spline = spline_transform()
        self._orders = orders(latent_size, layers)
        for name, shape in self.shapes(latent_size, width, layers, bins).items():
            if name in ("mean", "factor"):
                self.register_buffer(name, torch.zeros(shape))
            else:
                self.register_parameter(name, nn.Parameter(torch.zeros(shape)))

    @staticmethod
    def shapes(latent_size: int, width: int, layers: int, bins: int) -> dict[str, tuple[int, ...]]:
        """The shape of each tensor, by name."""
        Z, W, L = latent_size, width, layers
        M = (Z - Z // 2) * (3 * bins - 1)
        network = {"read": (L, W, Z // 2), "read_bias": (L, W), "inner": (L, W, W)}
        network |= {"inner_bias": (L, W), "write": (L, M, W), "write_bias": (L, M)}
        return {"mean": (Z,), "factor": (Z, Z)} | network

    @torch.no_grad()
    def initialize(self, generator: torch.Generator) -> None:
        """Random weights; the networks give 0 at first."""
        for parameter in (self.read, self.inner):
            normal = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(normal / math.sqrt(max(parameter.shape[-1], 1)))

    def sample(self, noise: Tensor) -> Tensor:
        """z (N, Z): the layers backwards."""
        x = noise
        for order, weights in reversed([*zip(self._orders, self._weights(x), strict=True)]):
            moved, fixed = x[:, order].split(self._halves, dim=1)
            moved = self._splines(weights, fixed).inv(moved)
            x = torch.cat([moved, fixed], dim=1)[:, order.argsort()]
        return self.mean.to(noise) + x @ self.factor.to(noise).T

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) in nats, (..., Z) -> (...), by the change of variables."""
        factor = self.factor.to(z)
        flat = (z - self.mean.to(z)).reshape(-1, self.latent_size)
        white = torch.linalg.solve_triangular(factor, flat.T, upper=False).T
        return (self.log_prob_of_white(white) - factor.diagonal().log().sum()).view(z.shape[:-1])

    def log_prob_of_white(self, x: Tensor) -> Tensor:
        """log p(x) of x = factor^-1 (z - mean), (N, Z) -> (N,) in nats."""
        log_volume = x.new_zeros(len(x))
        for order, weights in zip(self._orders, self._weights(x), strict=True):
            moved, fixed = x[:, order].split(self._halves, dim=1)
            moved, log_slopes = self._splines(weights, fixed).call_and_ladj(moved)
            log_volume = log_volume + log_slopes.sum(1)
            x = torch.cat([moved, fixed], dim=1)[:, order.argsort()]
        return DiagonalGaussian.standard(self.latent_size, device=x.device).log_prob(x) + log_volume

    @property
    def _halves(self) -> list[int]:
        """How many numbers a layer moves, and how many it reads."""
        return [self.latent_size - self.latent_size // 2, self.latent_size // 2]

    def _weights(self, x: Tensor) -> Iterator[tuple[Tensor, ...]]:
        """The weights of each layer, as x has them."""
        first, second = (self.read, self.read_bias), (self.inner, self.inner_bias)
        stacks = (*first, *second, self.write, self.write_bias)
        return zip(*(stack.to(x).unbind() for stack in stacks), strict=True)

    def _splines(self, weights: tuple[Tensor, ...], fixed: Tensor) -> Any:
        """The splines of a layer for the numbers that the layer reads, (N, Z // 2)."""
        read, read_bias, inner, inner_bias, write, write_bias = weights
        h = silu(linear(fixed, read, read_bias))  # (N, W)
        h = silu(linear(h, inner, inner_bias))
        knots = linear(h, write, write_bias).view(len(fixed), -1, 3 * self.bins - 1)
        widths, heights, slopes = knots.split([self.bins, self.bins, self.bins - 1], dim=-1)
        return self._spline(widths, heights, slopes, bound=BOUND, slope=LEAST_SLOPE)


def orders(latent_size: int, layers: int) -> list[Tensor]:
    """For each layer, the indices of the numbers that it moves, then of those that it reads, (Z,).

    A layer moves the numbers that the layer before read. After every second layer both halves are
    mixed like cards, so that most pairs of numbers are parted by some layer.
    """
    order, found = torch.arange(latent_size), []
    for layer in range(layers):
        found.append(order)
        order = order.roll(latent_size // 2)
        if layer % 2:
            order = torch.cat([order[0::2], order[1::2]])
    return found


def spline_transform() -> Any:
    """The class of monotonic rational-quadratic splines in zuko.

    Raises:
        UsageError: zuko is not installed.
    """
    checks = Distribution._validate_args
    try:
        from zuko.transforms import MonotonicRQSTransform
    except ImportError:
        raise UsageError(
            "a spline prior needs the package zuko; try pip install 'textvae[flows]'"
        ) from None
    finally:
        Distribution.set_default_validate_args(checks)  # zuko switches them off for everyone
    return MonotonicRQSTransform
