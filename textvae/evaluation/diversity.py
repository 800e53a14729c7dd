"""How different samples are from each other, and from the training text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from textvae.data.writing import Writing, units


def distinct_2(samples: Sequence[str], writing: Writing) -> float | None:
    """Distinct bigrams / bigrams of all samples; None without any. Li 2016, section 5.

    It falls as samples are added: compare equal numbers of them.
    """
    bigrams = [
        pair for sample in samples for words in [units(sample, writing)] for pair in pairwise(words)
    ]
    return len(set(bigrams)) / len(bigrams) if bigrams else None


def found_in(texts: Sequence[str], others: Iterable[str]) -> Tensor:
    """Which texts stand word for word among the others, bool (N,); those are read once."""
    plain = [" ".join(text.split()) for text in texts]
    found = set(plain).intersection(" ".join(other.split()) for other in others)
    return torch.tensor([text in found for text in plain])
