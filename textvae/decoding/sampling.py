"""Sampling one token per row of logits: temperature, top-k, top-p. Rows are independent."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

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
    # A temperature closer to 0 would make the logits infinite.
    weights = (logits / max(temperature, _COLDEST)).softmax(1)
    if top_p < 1:
        weights = nucleus(weights, top_p)
    chosen = inverse_cdf(weights, uniforms)
    return chosen if candidates is None else candidates.gather(1, chosen[:, None]).squeeze(1)


def inverse_cdf(weights: Tensor, uniforms: Tensor) -> Tensor:
    """The lowest id of each row (N, V) whose cumulative weight exceeds uniform * sum, (N,).

    A weight of 0 is never chosen. Sums are in float64, because rounding over thousands of float32
    additions would shift the bounds. Summing by blocks, then inside the chosen block, costs a tenth
    of one cumulative sum over the vocabulary.
    """
    N, V = weights.size()
    size = math.isqrt(V - 1) + 1
    blocks = F.pad(weights, (0, -V % size)).view(N, -1, size)  # (N, V / size, size)
    cumulative = blocks.sum(2, dtype=torch.float64).cumsum(1)  # (N, V / size)
    require_finite(cumulative[:, -1])
    threshold = uniforms[:, None] * cumulative[:, -1:]  # below the sum: uniforms are below 1
    block = torch.searchsorted(cumulative, threshold, right=True)  # (N, 1)
    threshold = threshold - F.pad(cumulative, (1, 0)).gather(1, block)
    inside = blocks[torch.arange(N, device=weights.device), block[:, 0]]
    cumulative = inside.cumsum(1, dtype=torch.float64)  # (N, size)
    # The two sums of a block may round differently; keep the threshold below the second one.
    below = torch.nextafter(cumulative[:, -1:], torch.zeros_like(threshold))
    place = torch.searchsorted(cumulative, torch.minimum(threshold, below), right=True)
    return (block * size + place).squeeze(1)
