"""Maximum mean discrepancy: the distance between the codes of a batch and prior samples."""

from __future__ import annotations

import torch
from torch import Tensor

SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


def mmd(z: Tensor, prior: Tensor) -> Tensor:
    """MMD^2 between the distributions of z (B, Z) and of `prior` (B, Z), a scalar without unit.

    The unbiased estimate (Gretton 2012, eq. 3): its expectation is 0 for equal distributions, so
    the value is often negative. It is 0 for a single sentence. The kernel is the sum over scales s
    of the inverse multiquadratics C / (C + |x - y|^2) with C = 2 Z s, as in Tolstikhin 2018,
    section 4, for a standard normal prior.
    """
    B = len(z)
    if B < 2:
        return z.sum() * 0
    # bf16 is too coarse for distances.
    with torch.autocast(z.device.type, enabled=False):
        z, prior = z.float(), prior.float()
        within = kernel(z, z).fill_diagonal_(0) + kernel(prior, prior).fill_diagonal_(0)
        return within.sum() / (B * (B - 1)) - 2 * kernel(z, prior).mean()


def kernel(x: Tensor, y: Tensor) -> Tensor:
    """The kernel of each pair, (N, M), for x (N, Z) and y (M, Z)."""
    squares = x.square().sum(1)[:, None] + y.square().sum(1) - 2 * x @ y.T
    distance = squares.clamp(min=0)
    widths = [2 * x.size(1) * scale for scale in SCALES]
    return torch.stack([width / (width + distance) for width in widths]).sum(0)
