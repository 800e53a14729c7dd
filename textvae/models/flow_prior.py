"""A prior that moves noise to latents along a learned velocity field: samples without a density.

Flow matching (Lipman 2023) trains the field; see `textvae.latent.flow_matching`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, linear, silu

from textvae.errors import UsageError
from textvae.models.prior import Prior

STEPS = 16  # of the midpoint method, from noise to latent
FREQUENCIES = 8  # of the time


class FlowPrior(Prior):
    """z = mean + factor @ x(1), where dx/dt = velocity(x, t) and x(0) is the noise.

    The velocity is the exact field from N(0, I) to N(0, I) plus a residual network. Where the
    network gives 0, z therefore follows the Gaussian N(mean, factor factor^T).

    Args:
        latent_size: Z.
        width: W, hidden numbers of the network.
        layers: L, residual layers.
    """

    has_density = False

    mean: Tensor  # (Z,)
    factor: Tensor  # (Z, Z)
    read: nn.Parameter  # (W, Z)
    read_bias: nn.Parameter  # (W,)
    time: nn.Parameter  # (L, W, 2 * FREQUENCIES)
    inner: nn.Parameter  # (L, W, W)
    inner_bias: nn.Parameter  # (L, W)
    outer: nn.Parameter  # (L, W, W)
    write: nn.Parameter  # (Z, W)

    def __init__(self, latent_size: int, width: int, layers: int) -> None:
        super().__init__(latent_size)
        self.width, self.layers = width, layers
        for name, shape in self.shapes(latent_size, width, layers).items():
            if name in ("mean", "factor"):
                self.register_buffer(name, torch.zeros(shape))
            else:
                self.register_parameter(name, nn.Parameter(torch.zeros(shape)))

    @staticmethod
    def shapes(latent_size: int, width: int, layers: int) -> dict[str, tuple[int, ...]]:
        """The shape of each tensor, by name."""
        Z, W, L = latent_size, width, layers
        network = {"read": (W, Z), "read_bias": (W,), "time": (L, W, 2 * FREQUENCIES)}
        blocks = {"inner": (L, W, W), "inner_bias": (L, W), "outer": (L, W, W), "write": (Z, W)}
        return {"mean": (Z,), "factor": (Z, Z)} | network | blocks

    @torch.no_grad()
    def initialize(self, generator: torch.Generator) -> None:
        """Random weights; the network gives 0 at first."""
        for parameter in (self.read, self.time, self.inner, self.outer):
            normal = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(normal / math.sqrt(parameter.shape[-1]))
        self.outer.mul_(1 / math.sqrt(len(self.outer)))

    def velocity(self, x: Tensor, t: Tensor) -> Tensor:
        """dx/dt at x (B, Z) and times t (B, 1) from 0 to 1, shape (B, Z)."""
        angles = t * math.pi * torch.arange(1, FREQUENCIES + 1, device=t.device)
        times = torch.cat([angles.sin(), angles.cos()], dim=1)  # (B, 2 * FREQUENCIES)
        h = linear(x, self.read, self.read_bias)  # (B, W)
        width = h.shape[-1:]
        for time, inner, bias, outer in zip(
            self.time, self.inner, self.inner_bias, self.outer, strict=True
        ):
            u = linear(layer_norm(h, width), inner, bias) + linear(times, time)
            h = h + linear(silu(u), outer)
        return between_normals(t) * x + linear(layer_norm(h, width), self.write)

    @torch.no_grad()
    def sample(self, noise: Tensor) -> Tensor:
        """z (N, Z), by the midpoint method from t = 0 to 1."""
        x, step = noise.to(self.mean), 1 / STEPS
        for k in range(STEPS):
            t = torch.full((len(x), 1), k * step).to(x)
            middle = x + 0.5 * step * self.velocity(x, t)
            x = x + step * self.velocity(middle, t + 0.5 * step)
        return (self.mean + x @ self.factor.T).to(noise)

    def log_prob(self, z: Tensor) -> Tensor:
        """Always raises UsageError: flow matching gives samples, but no density."""
        raise UsageError(
            "a flow prior has no density, only samples; fit a gaussian, a mixture or a spline"
        )


def between_normals(t: Tensor) -> Tensor:
    """c(t) of the velocity c(t) x that moves N(0, I) to N(0, I).

    It is E[x_1 - x_0 | x_t = x] = c(t) x for x_t = (1 - t) x_0 + t x_1 with independent standard
    normal x_0 and x_1.
    """
    return (2 * t - 1) / ((1 - t).square() + t.square())
