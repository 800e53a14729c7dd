"""Sampling one token per row of logits: temperature, top-k, top-p. Rows are independent."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from textvae.decoding.blocks import block_of, block_size, split
from textvae.decoding.penalties import require_finite
from textvae.decoding.top_k import top_ids
from textvae.decoding.top_p import nucleus

_COLDEST = 1e-30


def draw(
    logits: Tensor, uniforms: Tensor, *, temperature: float, top_k: int, top_p: float
) -> Tensor:
    """The token sampled from each row of logits (N, V) with a uniform in [0, 1), shape (N,)."""
    candidates = None
    if 0 < top_k < logits.shape[1]:
        candidates = top_ids(logits, top_k)
        logits = logits.gather(1, candidates)
    if temperature != 1:  # a division copies all logits
        logits = logits / max(temperature, _COLDEST)  # closer to 0 they would be infinite
    weights = logits.softmax(1)
    if top_p < 1:
        weights = nucleus(weights, top_p)
    chosen = inverse_cdf(weights, uniforms)
    return chosen if candidates is None else candidates.gather(1, chosen[:, None]).squeeze(1)


def inverse_cdf(weights: Tensor, uniforms: Tensor) -> Tensor:
    """The lowest id of each row (N, V) whose cumulative weight exceeds uniform * sum, (N,).

    A weight of 0 is never chosen. Weights are summed by blocks, then inside the chosen block. The
    sums over blocks and inside a block are in float64, because rounding over thousands of float32
    additions would shift the bounds. The weights of one block are few enough for float32; a float64
    sum would copy all weights, which took a fifth of a step.
    """
    whole, rest = split(weights)
    sums = whole.sum(2)
    if rest.size(1):
        sums = torch.cat([sums, rest.sum(1, keepdim=True)], dim=1)
    sums = sums.double()
    cumulative = sums.cumsum(1)  # (N, blocks)
    require_finite(cumulative[:, -1])
    threshold = uniforms[:, None] * cumulative[:, -1:]  # below the sum: uniforms are below 1
    block = torch.searchsorted(cumulative, threshold, right=True)  # (N, 1)
    threshold = threshold - F.pad(cumulative, (1, 0)).gather(1, block)
    inside = block_of(weights, block, 0.0).cumsum(1, dtype=torch.float64)  # (N, size)
    # The two sums of a block may round differently; keep the threshold below the second one.
    below = torch.nextafter(inside[:, -1:], torch.zeros_like(threshold))
    place = torch.searchsorted(inside, torch.minimum(threshold, below), right=True)
    return (block * block_size(weights.size(1)) + place).squeeze(1)
