"""Labelled vectors of known clusters, which tests of probes and clusters share."""

from __future__ import annotations

import numpy as np

CENTRES = np.array([[0.0, 9, 0], [9, 0, 0], [0, 0, 9]])
SHARES = np.array([0, 0, 0, 1, 1, 2])  # class 0 is half of the rows


def blobs(n: int, *, spread: float = 0.5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(vectors (n, 3), classes (n,)) around three centres."""
    labels = np.resize(SHARES, n)
    noise = np.random.default_rng(seed).normal(size=(n, 3))
    return CENTRES[labels] + spread * noise, labels
