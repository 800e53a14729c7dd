"""Diversity of samples, and the overlap of samples with the training text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from textvae.data.writing import Writing, units


def distinct_2(samples: Sequence[str], writing: Writing) -> float | None:
    """Distinct bigrams / all bigrams of the samples; None without bigrams. Li 2016, section 5.

    The value falls with the number of samples, so compare equal numbers.
    """
    bigrams = [
        pair for sample in samples for words in [units(sample, writing)] for pair in pairwise(words)
    ]
    return len(set(bigrams)) / len(bigrams) if bigrams else None


def found_in(texts: Sequence[str], others: Iterable[str]) -> Tensor:
    """True for each text that occurs word for word in `others`, (N,); `others` is read once."""
    plain = [" ".join(text.split()) for text in texts]
    found = set(plain).intersection(" ".join(other.split()) for other in others)
    return torch.tensor([text in found for text in plain])
