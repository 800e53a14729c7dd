"""The mean and the covariance of vectors that come block by block."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Moments:
    """Mean and covariance of the vectors (N, D) added so far, in float64.

    >>> moments = Moments(1)
    >>> for block in ([[0.0]], [[2.0], [4.0]]):
    ...     moments.add(np.array(block))
    >>> moments.n, moments.mean, moments.covariance
    (3, array([2.]), array([[4.]]))
    """

    def __init__(self, dimensions: int) -> None:
        self.n = 0
        self.mean = np.zeros(dimensions)
        self._scatter = np.zeros((dimensions, dimensions))

    def add(self, vectors: NDArray[np.floating]) -> None:
        """Add vectors (B, D). Chan, Golub & LeVeque 1983."""
        if not len(vectors):
            return
        own = np.asarray(vectors, dtype=np.float64)
        centre, total = own.mean(0), self.n + len(own)
        apart, centred = centre - self.mean, own - centre
        self._scatter += centred.T @ centred + np.outer(apart, apart) * self.n * len(own) / total
        self.mean = self.mean + apart * len(own) / total
        self.n = total

    @property
    def covariance(self) -> NDArray[np.float64]:
        """The unbiased covariance, (D, D); zeros for one vector."""
        return self._scatter / max(self.n - 1, 1)
