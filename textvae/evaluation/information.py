"""Information about a sentence in its latent, and its use by the decoder."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from textvae.gaussian import DiagonalGaussian

MI_BATCH = 2000  # most sentences in the estimate of the mutual information
ACTIVE_VARIANCE = 0.01  # Burda 2016, section 5.2
_PAIRS_AT_ONCE = 2**15  # sentence pairs in memory, each with Z differences


def mutual_information(q: DiagonalGaussian, z: Tensor) -> Tensor:
    """log q(z_i|x_i) - log (1/B) sum_j q(z_i|x_j) of each sentence, in nats, shape (B,).

    The mean estimates I(x; z) under q and cannot exceed log B. He 2019, section 3.2.

    Args:
        q: posteriors (B, Z).
        z: one sample of each posterior, (B, Z).
    """
    B = len(z)
    rows = max(1, _PAIRS_AT_ONCE // B)
    aggregate = [
        q.log_prob(part[:, None]).logsumexp(1) - math.log(B)  # (rows, B) -> (rows,)
        for part in torch.split(z, rows)
    ]
    return q.log_prob(z) - torch.cat(aggregate)


def mi_sentences(n: int, seed: int, largest: int = MI_BATCH) -> Tensor:
    """The indices for the mutual information: all of n, or a fixed random subset of `largest`."""
    if n <= largest:
        return torch.arange(n)
    return torch.from_numpy(np.sort(_permutation(n, seed)[:largest]))


def active_units(means: Tensor) -> int:
    """The number of dimensions where the variance of posterior means (N, Z) exceeds 0.01.

    Burda 2016, section 5.2.
    """
    return int((means.double().var(0, correction=0) > ACTIVE_VARIANCE).sum())


def derangement(n: int, seed: int) -> Tensor:
    """A permutation (n,) that moves every element: a random cycle through all elements.

    Raises:
        ValueError: n < 2; no such permutation exists.
    """
    if n < 2:
        raise ValueError(f"no derangement of {n} elements exists; give 2 or more")
    cycle = _permutation(n, seed)
    other = np.empty(n, dtype=np.int64)
    other[cycle] = np.roll(cycle, 1)
    return torch.from_numpy(other)


def _permutation(n: int, seed: int) -> np.ndarray:
    return np.random.Generator(np.random.Philox(key=np.array([seed, n], np.uint64))).permutation(n)
