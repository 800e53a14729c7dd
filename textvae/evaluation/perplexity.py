"""Perplexity a word, or a character of text without spaces, and its standard error."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from textvae.data.writing import Writing, units

Scorer = Callable[[Sequence[str]], np.ndarray]  # texts -> -log p of each in nats, (N,)


def perplexity(nll: Tensor, lengths: Tensor) -> tuple[float, float | None]:
    """exp(sum nll / sum lengths) and its standard error, None for one sentence.

    The error is that of a ratio of means by the delta method (Cochran 1977, eq. 6.13).

    Args:
        nll: -log p of each sentence in nats, (N,).
        lengths: words or characters of each, one end token included, (N,).
    """
    nll, lengths = nll.double(), lengths.double()
    rate = nll.sum() / lengths.sum()
    value = rate.exp().item()
    n = len(nll)
    if n < 2:
        return value, None
    residual = nll - rate * lengths
    rate_error = (residual.square().sum() / (n - 1) / n).sqrt() / lengths.mean()
    return value, value * rate_error.item()


def unit_lengths(texts: Sequence[str], writing: Writing) -> Tensor:
    """Words (or characters, see `units`) of each text and its end, (N,)."""
    return torch.tensor([len(units(text, writing)) + 1 for text in texts])


def scored_perplexity(
    scorer: Scorer, texts: Sequence[str], writing: Writing
) -> tuple[float, float | None]:
    """Perplexity of the texts under a scorer, a word, or a character of unspaced text."""
    nll = torch.as_tensor(np.asarray(scorer(texts), dtype=np.float64))
    return perplexity(nll, unit_lengths(texts, writing))
