"""Vector arithmetic: analogies, and the direction in which an attribute grows.

Equal differences of meaning are equal offsets, as far as the latent space allows: Mikolov 2013 for
words, Shen 2020 for sentences.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.floating]
DirectionMethod = Literal["mean", "linear"]


def analogy(a: Vectors, b: Vectors, c: Vectors, *, scale: float = 1.0) -> Vectors:
    """c + scale * (b - a) for vectors (..., Z): a is to b as c is to the result.

    >>> analogy(np.array([1.0, 0.0]), np.array([1.0, 2.0]), np.array([5.0, 1.0])).tolist()
    [5.0, 3.0]
    """
    return c + scale * (b - a)


def mean_difference(start: Vectors, end: Vectors) -> NDArray[np.float64]:
    """The mean of the vectors `end` (M, Z) less the mean of the vectors `start` (N, Z), (Z,)."""
    return end.mean(0, dtype=np.float64) - start.mean(0, dtype=np.float64)


def along(normal: NDArray[np.float64], difference: NDArray[np.float64]) -> NDArray[np.float64]:
    """The part of `difference` (Z,) that is parallel to `normal` (Z,).

    Added to the mean of one set, the part gives the score of the mean of the other set under a
    linear classifier with this normal, and is the shortest vector that does. A zero normal, of a
    classifier that found nothing, gives zeros.

    >>> along(np.array([0.0, 2.0]), np.array([3.0, 5.0])).tolist()
    [0.0, 5.0]
    """
    square = normal @ normal
    share = float(normal @ difference / square) if square > 0 else 0.0
    return share * normal


def shifted(z: Vectors, direction: Vectors, strengths: Sequence[float]) -> Vectors:
    """z (N, Z) + strength * direction (Z,) for each strength, (N, S, Z). Shen 2020.

    The result has the dtype of z, so that a strength of 0 gives z itself.
    """
    steps = np.asarray(strengths, np.float64)[:, None] * direction  # (S, Z)
    return (z[:, None] + steps).astype(z.dtype)


def separation(start: Vectors, end: Vectors, direction: Vectors) -> float:
    """How well the direction tells two sets of vectors (N, Z) and (M, Z) apart, from 0 to 1.

    The share of each set on its own side of the plane that is normal to the direction and halfway
    between the two means; the mean of the two shares. 0.5 is chance.

    >>> separation(np.array([[0.0], [1.0]]), np.array([[2.0], [0.2]]), np.array([1.0]))
    0.5
    """
    before, after = start @ direction, end @ direction
    threshold = (before.mean() + after.mean()) / 2
    return float(((before < threshold).mean() + (after > threshold).mean()) / 2)
