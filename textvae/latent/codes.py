"""Codes of vectors with a few bits: float32, one byte or one bit a dimension, product quantization.

A code is fitted to vectors of a training text, and then maps each vector to bits and back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from textvae.errors import DataError
from textvae.latent.quantization import Int8Map, sign_bits, unpacked_signs

CENTROIDS = 256  # of a part: one byte
_ITERATIONS = 25

Vectors = NDArray[np.float32]


class Code(Protocol):
    """A code of vectors (N, D)."""

    @property
    def name(self) -> str:
        """Short, such as `int8`."""

    @property
    def bits(self) -> int:
        """Bits of a vector."""

    def approximate(self, vectors: Vectors) -> Vectors:
        """The vectors that the bits of vectors stand for, (N, D)."""


@dataclass(frozen=True)
class MeanCode:
    """No bits: every vector becomes the mean of the training vectors, (D,)."""

    mean: Vectors
    name: str = "mean"
    bits: int = 0

    def approximate(self, vectors: Vectors) -> Vectors:
        """The mean, (N, D)."""
        return np.broadcast_to(self.mean, vectors.shape).copy()


@dataclass(frozen=True)
class Float32Code:
    """32 bits a dimension, without a loss."""

    dimensions: int
    name: str = "float32"

    @property
    def bits(self) -> int:
        """32 D."""
        return 32 * self.dimensions

    def approximate(self, vectors: Vectors) -> Vectors:
        """The vectors themselves."""
        return np.asarray(vectors, dtype=np.float32)


@dataclass(frozen=True)
class Int8Code:
    """8 bits a dimension, by a linear map over the range of the training vectors."""

    to_int8: Int8Map
    name: str = "int8"

    @property
    def bits(self) -> int:
        """8 D."""
        return 8 * len(self.to_int8.scales)

    def approximate(self, vectors: Vectors) -> Vectors:
        """The nearest steps; values outside the range are clipped."""
        return self.to_int8.decode(self.to_int8.encode(vectors))


@dataclass(frozen=True, eq=False)
class SignCode:
    """The sign of each dimension, which stands for the mean of the training values of that sign.

    Args:
        below, above: these means, (D,).
    """

    below: Vectors
    above: Vectors
    name: str = "binary"

    @property
    def bits(self) -> int:
        """D."""
        return len(self.below)

    def approximate(self, vectors: Vectors) -> Vectors:
        """The mean of each value's sign."""
        signs = unpacked_signs(sign_bits(vectors), self.bits)
        return np.where(signs > 0, self.above, self.below)


@dataclass(frozen=True, eq=False)
class ProductCode:
    """Product quantization: the dimensions in M parts, each replaced by its nearest centroid.

    Jegou 2011. With 256 centroids of each part a vector has M bytes.

    Args:
        centroids: of each part, (K, D_m).
    """

    centroids: tuple[Vectors, ...]

    @property
    def name(self) -> str:
        """`pq-M`."""
        return f"pq-{len(self.centroids)}"

    @property
    def bits(self) -> int:
        """The bits of the M numbers of centroids."""
        return sum((len(part) - 1).bit_length() for part in self.centroids)

    def encode(self, vectors: Vectors) -> NDArray[np.uint8]:
        """The number of the nearest centroid of each part, (N, M)."""
        parts = zip(self._parts(vectors), self.centroids, strict=True)
        return np.stack([_nearest(part, own) for part, own in parts], axis=1).astype(np.uint8)

    def decode(self, numbers: NDArray[np.uint8]) -> Vectors:
        """The vectors (N, D) of numbers of centroids (N, M)."""
        return np.concatenate(
            [own[of] for own, of in zip(self.centroids, numbers.T, strict=True)], axis=1
        )

    def approximate(self, vectors: Vectors) -> Vectors:
        """The nearest centroids of all parts, (N, D)."""
        return self.decode(self.encode(vectors))

    def _parts(self, vectors: Vectors) -> list[Vectors]:
        widths = [part.shape[1] for part in self.centroids]
        return np.split(vectors, np.cumsum(widths)[:-1], axis=1)


def sign_code(vectors: Vectors) -> SignCode:
    """The signs of vectors (N, D), with the means of both; 0 for a sign that never occurs."""
    positive = vectors > 0
    return SignCode(_mean_where(vectors, ~positive), _mean_where(vectors, positive))


def product_code(vectors: Vectors, parts: int, *, seed: int = 0) -> ProductCode:
    """Product quantization of vectors (N, D) in parts of equal width, or nearly so."""
    split = np.array_split(vectors, parts, axis=1)
    return ProductCode(tuple(_centroids(part, seed + m) for m, part in enumerate(split)))


def fitted_codes(vectors: Vectors, *, seed: int = 0) -> list[Code]:
    """The codes of this module, fitted to vectors (N, D), by their bits.

    Product quantization has 1, 2, 4, ... bytes, fewer than dimensions.

    Raises:
        DataError: no vectors.
    """
    if not len(vectors):
        raise DataError("no vectors to fit codes to; give a training text")
    vectors = np.asarray(vectors, dtype=np.float32)
    D = vectors.shape[1]
    sizes = [2**e for e in range(D.bit_length()) if 2**e < D]
    codes: list[Code] = [
        MeanCode(vectors.mean(0)),
        *(product_code(vectors, parts, seed=seed) for parts in sizes),
        sign_code(vectors),
        Int8Code(Int8Map.spanning(vectors.min(0), vectors.max(0))),
        Float32Code(D),
    ]
    return sorted(codes, key=lambda code: code.bits)


def squared_error(code: Code, vectors: Vectors) -> float:
    """The mean squared distance of vectors (N, D) and what their bits stand for."""
    return float(np.square(vectors - code.approximate(vectors)).sum(1).mean())


def _centroids(part: Vectors, seed: int) -> Vectors:
    """At most 256 centroids by k-means, (K, D_m)."""
    from sklearn.cluster import KMeans

    distinct = np.unique(part, axis=0)
    if len(distinct) <= CENTROIDS:
        return distinct
    means = KMeans(CENTROIDS, n_init=1, max_iter=_ITERATIONS, random_state=seed % 2**32)
    return means.fit(part).cluster_centers_.astype(np.float32)


def _nearest(part: Vectors, centroids: Vectors) -> NDArray[np.intp]:
    """The number of the nearest centroid, (N,)."""
    # |x - c|^2 without |x|^2, which is the same for all centroids.
    scores = part @ centroids.T - np.square(centroids).sum(1) / 2
    return scores.argmax(1)


def _mean_where(vectors: Vectors, where: NDArray[np.bool_]) -> Vectors:
    counts = where.sum(0)
    sums = np.where(where, vectors, 0).sum(0, dtype=np.float64)
    return (sums / np.maximum(counts, 1)).astype(np.float32)
