"""Logits changed before a choice: tokens repeated, tokens forbidden, values not finite."""

from __future__ import annotations

import torch
from torch import Tensor

from textvae.errors import ModelFormatError


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
