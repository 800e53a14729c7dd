"""-log softmax of linear logits at the target, without holding all logits in memory.

Logits take more memory than anything else in training: 64 sentences of 84 tokens over 10,000 words
have 54 million, and a plain cross entropy holds four copies. In training on a CPU they are computed
in parts that fit its cache, and one copy is held: the slopes, softmax - one-hot, which the gradient
needs. Without a gradient a CPU holds one part at a time. Above a limit the logits are computed in
parts, and recomputed for the gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from textvae.models.folded_linear import FoldedLinear, gains

LARGEST = 2**25  # logits in memory at a time: 128 MiB in float32
COPIES = 4  # of the logits in a plain cross entropy and its gradient
CACHED_ROWS = 256  # of a part on a CPU
FOLDED_PARTS = 4  # from which a copy of the weight pays


def linear_nll(
    states: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, *, largest: int = LARGEST
) -> Tensor:
    """-log softmax(states @ weight.T + bias) at the targets, in nats, shape (N,), float32 or wider.

    Args:
        states: (N, E).
        weight, bias: (V, E) and (V,); a bias of -inf excludes a token.
        targets: (N,) token ids.
        largest: with more logits (N * V) than this, they are computed in parts; on a CPU, where one
            copy is held, with more than `COPIES` times as many. Without a gradient, a CPU
            always computes float32 logits in parts.
    """
    logits_count, kind = len(states) * len(weight), states.device.type
    learns = torch.is_grad_enabled() and any(x.requires_grad for x in (states, weight, bias))
    keeps = learns and kind == "cpu" and logits_count <= COPIES * largest
    narrows = torch.is_autocast_enabled(kind)
    if kind == "cpu" and not learns and not narrows and len(states) > CACHED_ROWS:
        return _nll_in_parts(states, weight, bias, targets)
    if logits_count <= largest and not keeps:
        logits = F.linear(states, weight, bias)
        return F.cross_entropy(_wide(logits), targets, reduction="none")
    if narrows:
        narrow = torch.get_autocast_dtype(kind)
        states, weight, bias = states.to(narrow), weight.to(narrow), bias.to(narrow)
    with torch.autocast(kind, enabled=False):
        if keeps:
            return _KeptNLL.apply(states, weight, bias, targets)  # type: ignore[no-untyped-call]
        rows = max(1, largest // len(weight))
        return _LinearNLL.apply(states, weight, bias, targets, rows)  # type: ignore[no-untyped-call]


def _nll_in_parts(states: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    """`linear_nll` without a gradient on a CPU, `CACHED_ROWS` rows at a time."""
    logits_of: Callable[[Tensor], Tensor] = partial(F.linear, weight=weight, bias=bias)
    if gains(weight) and len(states) >= FOLDED_PARTS * CACHED_ROWS:
        logits_of = FoldedLinear.of(weight, bias)
    parts = zip(states.split(CACHED_ROWS), targets.split(CACHED_ROWS), strict=True)
    return torch.cat(
        [F.cross_entropy(_wide(logits_of(x)), target, reduction="none") for x, target in parts]
    )


class _KeptNLL(torch.autograd.Function):
    """`linear_nll` that keeps the slopes (N, V), of the type of `states`, for the gradient."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
        slopes = states.new_empty(len(states), len(weight))
        nll = []
        for start in range(0, len(states), CACHED_ROWS):
            part = slice(start, start + CACHED_ROWS)
            logits, target = _wide(F.linear(states[part], weight, bias)), targets[part, None]
            same = slopes.dtype == logits.dtype
            probs = slopes[part] if same else torch.empty_like(logits)
            torch.softmax(logits, 1, out=probs)
            # The probability of the target may be too small for its logarithm, the largest is not.
            highest, chosen = logits.amax(1), logits.gather(1, target).squeeze(1)
            nll.append(highest - probs.amax(1).log() - chosen)
            probs.scatter_add_(1, target, probs.new_full(target.size(), -1.0))
            if not same:
                slopes[part] = probs
        ctx.save_for_backward(states, weight, slopes)
        return torch.cat(nll) if nll else _wide(states.new_empty(0))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        states, weight, slopes = ctx.saved_tensors
        (of_nll,) = gradients
        of_states = of_weight = of_bias = None
        if ctx.needs_input_grad[0]:
            of_states = ((slopes @ weight) * of_nll[:, None]).to(states.dtype)
        if ctx.needs_input_grad[1]:
            of_weight = slopes.T @ (states * of_nll[:, None]).to(states.dtype)
        if ctx.needs_input_grad[2]:
            of_bias = of_nll.new_zeros(slopes.size(1))
            for part, weights in zip(
                slopes.split(CACHED_ROWS), of_nll.split(CACHED_ROWS), strict=True
            ):
                of_bias += weights @ part.to(weights.dtype)
            of_bias = of_bias.to(states.dtype)
        return of_states, of_weight, of_bias, None


class _LinearNLL(torch.autograd.Function):
    """`linear_nll` in parts of `rows` rows; backward (softmax - one-hot) recomputes the logits."""

    @staticmethod
    def forward(
        ctx: Any, states: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, rows: int
    ) -> Tensor:
        parts = zip(states.split(rows), targets.split(rows), strict=True)
        nll = [
            F.cross_entropy(_wide(F.linear(part, weight, bias)), target, reduction="none")
            for part, target in parts
        ]
        ctx.save_for_backward(states, weight, bias, targets)
        ctx.rows = rows
        return torch.cat(nll)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        states, weight, bias, targets = ctx.saved_tensors
        needs_states, needs_weight, needs_bias = ctx.needs_input_grad[:3]
        wide = torch.promote_types(weight.dtype, torch.float32)  # for sums over the parts
        of_states = torch.empty_like(states) if needs_states else None
        of_weight = torch.zeros_like(weight, dtype=wide) if needs_weight else None  # not if frozen
        of_bias = torch.zeros_like(bias, dtype=wide) if needs_bias else None
        for start in range(0, len(states), ctx.rows):
            part = slice(start, start + ctx.rows)
            slope = _wide(F.linear(states[part], weight, bias)).softmax(1)  # (n, V)
            target = targets[part, None]
            slope.scatter_add_(1, target, slope.new_full(target.size(), -1.0))
            slope.mul_(gradients[0][part, None])
            if of_bias is not None:
                of_bias += slope.sum(0)
            slope = slope.to(states.dtype)
            if of_states is not None:
                of_states[part] = slope @ weight
            if of_weight is not None:
                of_weight += slope.T @ states[part]
        of_weight = None if of_weight is None else of_weight.to(weight.dtype)
        of_bias = None if of_bias is None else of_bias.to(bias.dtype)
        return of_states, of_weight, of_bias, None, None


def _wide(logits: Tensor) -> Tensor:
    return logits.to(torch.promote_types(logits.dtype, torch.float32))
