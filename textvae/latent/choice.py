"""From logits to one token a row: penalty, top-k, nucleus, and the draw. Rows never mix."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from textvae.errors import ModelFormatError

# Probabilities that reach top_p but for the rounding of float32 logits count as reaching it.
_ROUNDING = 1e-6
_COLDEST = 1e-30
_HEAD = 64  # most nuclei of a trained model are smaller


def require_finite(values: Tensor) -> None:
    """Raise ModelFormatError where a sum of probabilities, or a score, is none.

    A choice by it would be no choice, or an index out of bounds.
    """
    if not bool(values.isfinite().all()):
        raise ModelFormatError(
            "the model's probabilities are not finite numbers: its weights, or the vectors that it "
            "was given, are damaged or far too large"
        )


def penalize_repetition(logits: Tensor, produced: Tensor, penalty: float) -> Tensor:
    """Logits (N, V) with those of the tokens in `produced` (N, t) divided or multiplied.

    Positive ones are divided, once however often a token occurred (Keskar 2019, sec. 4.1), and
    negative ones multiplied, which a division would make likelier.
    """
    if penalty == 1.0 or produced.shape[1] == 0:
        return logits
    seen = logits.gather(1, produced)
    return logits.scatter(1, produced, torch.where(seen > 0, seen / penalty, seen * penalty))


def forbid(logits: Tensor, token: int) -> Tensor:
    """Logits (N, V) that give `token` no probability."""
    return logits.index_fill(1, torch.tensor([token], device=logits.device), -torch.inf)


def draw(
    logits: Tensor, uniforms: Tensor, *, temperature: float, top_k: int, top_p: float
) -> Tensor:
    """A token for each row of logits (N, V) by its uniform number in [0, 1), shape (N,)."""
    candidates = None
    if 0 < top_k < logits.shape[1]:
        candidates = top_ids(logits, top_k)
        logits = logits.gather(1, candidates)
    # A temperature nearer to 0 would make infinities of the logits.
    weights = (logits / max(temperature, _COLDEST)).softmax(1)
    if top_p < 1:
        weights = nucleus(weights, top_p)
    chosen = inverse_cdf(weights, uniforms)
    return chosen if candidates is None else candidates.gather(1, chosen[:, None]).squeeze(1)


def top_ids(values: Tensor, k: int) -> Tensor:
    """Ids (N, k), in rising order, of the k largest of each row (N, V); of equals the lower."""
    top, ids = values.topk(k, dim=1)
    tied = ((values >= top[:, -1:]).sum(1) > k).nonzero().squeeze(1)
    if len(tied):  # topk's choice among equals is not defined
        ids[tied] = values[tied].argsort(dim=1, descending=True, stable=True)[:, :k]
    return ids.sort(dim=1).values


def largest(values: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest of each row (N, V), largest first, and their ids; of equals the lower id."""
    if k == values.shape[1]:
        top, ids = values.sort(dim=1, descending=True, stable=True)
        return top, ids
    ids = top_ids(values, k)
    top, order = values.gather(1, ids).sort(dim=1, descending=True, stable=True)
    return top, ids.gather(1, order)


def nucleus(weights: Tensor, share: float) -> Tensor:
    """Weights (N, V), 0 outside the smallest set of largest ones that holds `share` of the sum.

    Of equal weights the lower id enters first. Holtzman 2020, sec. 3.1.
    """
    V = weights.shape[1]
    enough = share * (1 - _ROUNDING) * weights.sum(1, keepdim=True, dtype=torch.float64)
    inside = torch.zeros_like(weights)
    rows = torch.arange(len(weights), device=weights.device)
    k = _HEAD
    while len(rows):  # sorting all of V is the last resort
        k = min(k, V)
        ranked, ids = largest(weights[rows], k)
        cumulative = ranked.cumsum(1, dtype=torch.float64)
        # The first one always stays; another while those before it are not enough.
        ranked[:, 1:].masked_fill_(cumulative[:, :-1] >= enough[rows], 0.0)
        inside[rows[:, None], ids] = ranked
        rows = rows[cumulative[:, -1] < enough[rows, 0]]
        k *= 16
    return inside


def inverse_cdf(weights: Tensor, uniforms: Tensor) -> Tensor:
    """The lowest id of each row (N, V) whose cumulative weight exceeds uniform * sum, (N,).

    A weight of 0 is never chosen. Sums are in float64: thousands of float32 additions would
    shift the bounds. They go by blocks, then inside the chosen block, which costs a tenth of
    one cumulative sum over the vocabulary.
    """
    N, V = weights.size()
    size = math.isqrt(V - 1) + 1
    blocks = F.pad(weights, (0, -V % size)).view(N, -1, size)  # (N, V / size, size)
    cumulative = blocks.sum(2, dtype=torch.float64).cumsum(1)  # (N, V / size)
    require_finite(cumulative[:, -1])
    threshold = uniforms[:, None] * cumulative[:, -1:]  # below the sum, as the uniform is below 1
    block = torch.searchsorted(cumulative, threshold, right=True)  # (N, 1)
    threshold = threshold - F.pad(cumulative, (1, 0)).gather(1, block)
    inside = blocks[torch.arange(N, device=weights.device), block[:, 0]]
    cumulative = inside.cumsum(1, dtype=torch.float64)  # (N, size)
    # The two sums of a block may round differently; the threshold must stay below the second.
    below = torch.nextafter(cumulative[:, -1:], torch.zeros_like(threshold))
    place = torch.searchsorted(cumulative, torch.minimum(threshold, below), right=True)
    return (block * size + place).squeeze(1)
