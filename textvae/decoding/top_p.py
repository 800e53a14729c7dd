"""Top-p (nucleus) sampling: the smallest set of tokens that holds a share of the probability."""

from __future__ import annotations

import torch
from torch import Tensor

from textvae.decoding.top_k import largest

# Sums that miss top_p only by the rounding of float32 logits count as reaching it.
_ROUNDING = 1e-6
_HEAD = 64  # most nuclei of a trained model have fewer tokens


def nucleus(weights: Tensor, share: float) -> Tensor:
    """Weights (N, V), 0 outside the smallest set of top weights that holds `share` of the sum.

    Ties: the lower id enters first. Holtzman 2020, sec. 3.1.
    """
    V = weights.shape[1]
    enough = share * (1 - _ROUNDING) * weights.sum(1, keepdim=True, dtype=torch.float64)
    inside = torch.zeros_like(weights)
    rows = torch.arange(len(weights), device=weights.device)
    k = _HEAD
    while len(rows):  # sorts all V weights only as a last resort
        k = min(k, V)
        ranked, ids = largest(weights[rows], k)
        cumulative = ranked.cumsum(1, dtype=torch.float64)
        # The first weight always stays; further ones while the sum before them is too small.
        ranked[:, 1:].masked_fill_(cumulative[:, :-1] >= enough[rows], 0.0)
        inside[rows[:, None], ids] = ranked
        rows = rows[cumulative[:, -1] < enough[rows, 0]]
        k *= 16
    return inside
