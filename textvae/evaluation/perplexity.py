"""Perplexity per word, or per character of unspaced text, and its standard error."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from textvae.data.writing import Writing, units

Scorer = Callable[[Sequence[str]], np.ndarray]  # texts -> -log p of each in nats, (N,)


def perplexity(nll: Tensor, lengths: Tensor) -> tuple[float, float | None]:
    """exp(sum nll / sum lengths) and its standard error (None for one sentence).

    The error is the delta-method error of a ratio of means (Cochran 1977, eq. 6.13).

    Args:
        nll: -log p of each sentence in nats, (N,).
        lengths: words or characters of each sentence, including one end token, (N,).
    """
    value, influence = _perplexity(nll, lengths)
    return value, _error(influence)


def perplexity_difference(
    one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]
) -> tuple[float, float | None]:
    """The perplexity of `one` minus that of `other`, (nll, lengths) each, and its standard error.

    Place i belongs to the same observation in both, such as a path, so the error is paired.
    """
    (a, influence_a), (b, influence_b) = _perplexity(*one), _perplexity(*other)
    return a - b, _error(influence_a - influence_b)


def _perplexity(nll: Tensor, lengths: Tensor) -> tuple[float, Tensor]:
    """The perplexity, and the influence of each observation on it, (N,), with mean 0."""
    nll, lengths = nll.double(), lengths.double()
    rate = nll.sum() / lengths.sum()
    value = rate.exp().item()
    return value, value * (nll - rate * lengths) / lengths.mean()


def _error(influence: Tensor) -> float | None:
    n = len(influence)
    return (influence.square().sum() / (n - 1) / n).sqrt().item() if n > 1 else None


def unit_lengths(texts: Sequence[str], writing: Writing) -> Tensor:
    """The number of words (or characters, see `units`) in each text, plus one end, (N,)."""
    return torch.tensor([len(units(text, writing)) + 1 for text in texts])


def scored_perplexity(
    scorer: Scorer, texts: Sequence[str], writing: Writing
) -> tuple[float, float | None]:
    """Perplexity of texts under a scorer, per word, or per character of unspaced text."""
    nll = torch.as_tensor(np.asarray(scorer(texts), dtype=np.float64))
    return perplexity(nll, unit_lengths(texts, writing))
