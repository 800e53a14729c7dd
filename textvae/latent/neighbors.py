"""The nearest of many vectors to some queries: exact, block by block, in bounded memory.

Each block is screened by one float32 product. A proven bound on the rounding error of the product
keeps every vector that may belong to the result, and the kept vectors are scored again in float64,
each on its own. So the result does not depend on the size of the blocks.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from textvae.errors import UsageError, option
from textvae.latent.clusters import unit

Metric = Literal["cosine", "euclidean", "dot"]
METRICS: tuple[Metric, ...] = get_args(Metric)

QUERIES_AT_ONCE = 256  # limits the memory of the scores of a block
_SHORT = 1e-15  # length of a vector
_FEW = 64  # candidates that are scored in float64 at once, beside k


@dataclass(frozen=True)
class Near:
    """A vector near a query.

    Args:
        index: its place among all vectors.
        score: cosine similarity or dot product (larger is nearer), or Euclidean distance.
        item: what was given with the vector.
    """

    index: int
    score: float
    item: Any = None


class NearestVectors:
    """The k nearest of many vectors to each of Q queries; the vectors come block by block.

    Of vectors at the same distance, the one with the lower index is nearer. Vectors with equal keys
    count once, with the lowest index of them.

    >>> nearest = NearestVectors(np.array([[1.0, 0.0]]), k=1, metric="euclidean")
    >>> nearest.add(np.array([[0.0, 0.0], [1.0, 2.0]]), first=0)
    >>> nearest.found()
    [[Near(index=0, score=1.0, item=None)]]

    Args:
        queries: (Q, D).
        k: vectors for each query.
        left_out: for each query a key whose vectors are no neighbors of the query; None: no key.
    """

    def __init__(
        self,
        queries: NDArray[np.floating],
        k: int,
        metric: Metric = "cosine",
        *,
        left_out: Sequence[Hashable | None] | None = None,
    ) -> None:
        check_metric(metric)
        self.metric, self.k = metric, k
        given = np.asarray(queries, dtype=np.float64)
        self._queries = unit(given).astype(np.float64) if metric == "cosine" else given
        self._lengths = np.linalg.norm(self._queries, axis=1)  # (Q,)
        self._left_out = left_out or [None] * len(self._queries)
        # For each query: key -> (nearness, index, item), the k best; and the k-th nearness.
        self._kept: list[dict[Hashable, tuple[float, int, Any]]] = [{} for _ in self._queries]
        self._least = np.full(len(self._queries), -np.inf)

    def add(
        self,
        vectors: NDArray[np.floating],
        first: int,
        *,
        keys: Sequence[Hashable] | None = None,
        items: Sequence[Any] | None = None,
    ) -> None:
        """Take the vectors (B, D) with the indices `first`, `first` + 1, ... into account."""
        if not len(vectors):
            return
        small = np.asarray(vectors, dtype=np.float32)
        squares = np.einsum("bd,bd->b", small, small)
        lengths = np.sqrt(squares)
        longest = 1.0 if self.metric == "cosine" else float(lengths.max())
        if keys is None:
            keys = range(first, first + len(vectors))
        for start in range(0, len(self._queries), QUERIES_AT_ONCE):
            queries = self._queries[start : start + QUERIES_AT_ONCE]
            rough = queries.astype(np.float32) @ small.T  # (Q, B)
            if self.metric == "cosine":
                rough /= np.where(lengths > _SHORT, lengths, 1)
                rough[:, lengths <= _SHORT] = 1  # perhaps; a float32 square would be 0
            elif self.metric == "euclidean":  # -|q - v|^2
                rough = 2 * rough - squares - np.square(queries).sum(1, dtype=np.float32)[:, None]
            part = slice(start, start + len(rough))
            slack = self._rounding(self._lengths[part], longest, small.shape[1])
            for place in np.flatnonzero(rough.max(1) >= self._least[part] - slack).tolist():
                q = start + place
                self._take(q, rough[place], float(slack[place]), vectors, first, keys, items)

    def found(self) -> list[list[Near]]:
        """The nearest vectors of each query, the nearest first."""
        ranked = [sorted(kept.values(), key=_rank) for kept in self._kept]
        return [
            [Near(index, self._score(nearness), item) for nearness, index, item in row]
            for row in ranked
        ]

    def _rounding(
        self, lengths: NDArray[np.float64], longest: float, dimensions: int
    ) -> NDArray[np.float64]:
        """A bound on the error of float32 nearness, for each query, (Q,). Higham 2002, eq. 3.5.

        Args:
            lengths: of the queries, (Q,).
            longest: length of the longest vector.
        """
        size = (lengths + longest) ** 2 if self.metric == "euclidean" else lengths * longest
        limits = np.finfo(np.float32)
        return (dimensions + 8) * (float(limits.eps) * size + float(limits.tiny))

    def _take(
        self,
        q: int,
        rough: NDArray[np.float32],
        slack: float,
        vectors: NDArray[np.floating],
        first: int,
        keys: Sequence[Hashable],
        items: Sequence[Any] | None,
    ) -> None:
        """Score the vectors of a block that may be near, the nearest first; keep the k best."""
        places = np.flatnonzero(rough >= self._least[q] - slack)
        if len(places) > 1:
            places = places[np.argsort(-rough[places], kind="stable")]
        at_once = self.k + _FEW
        for start in range(0, len(places), at_once):
            some = places[start : start + at_once]
            if rough[some[0]] < self._least[q] - slack:
                return
            self._score_exactly(q, some, vectors, first, keys, items)

    def add_candidates(
        self,
        q: int,
        places: NDArray[np.intp],
        vectors: NDArray[np.floating],
        first: int,
        *,
        keys: Sequence[Hashable] | None = None,
        items: Sequence[Any] | None = None,
    ) -> None:
        """Take only the vectors at some places of a block into account, and for query `q` only."""
        if keys is None:
            keys = range(first, first + len(vectors))
        self._score_exactly(q, places, vectors, first, keys, items)

    def _score_exactly(
        self,
        q: int,
        places: NDArray[np.intp],
        vectors: NDArray[np.floating],
        first: int,
        keys: Sequence[Hashable],
        items: Sequence[Any] | None,
    ) -> None:
        exact = self._nearness(q, np.asarray(vectors[places], dtype=np.float64))
        for place, nearness in zip(places.tolist(), exact.tolist(), strict=True):
            item = None if items is None else items[place]
            self._keep(q, keys[place], (nearness, first + place, item))

    def _keep(self, q: int, key: Hashable, one: tuple[float, int, Any]) -> None:
        kept = self._kept[q]
        if one[0] < self._least[q] or (key is not None and key == self._left_out[q]):
            return
        known = kept.get(key)
        if known is not None:  # equal keys: the nearer score, the lower index
            earlier = min(known, one, key=lambda pair: pair[1])
            kept[key] = (max(known[0], one[0]), *earlier[1:])
        else:
            kept[key] = one
            if len(kept) > self.k:
                del kept[max(kept, key=lambda name: _rank(kept[name]))]
        if len(kept) == self.k:
            self._least[q] = min(nearness for nearness, _, _ in kept.values())

    def _nearness(self, q: int, vectors: NDArray[np.float64]) -> NDArray[np.float64]:
        """The nearness of vectors (N, D), each value by its own vector, (N,); larger is nearer."""
        query = self._queries[q]
        if self.metric == "euclidean":
            return -np.square(vectors - query).sum(1)
        products = (vectors * query).sum(1)
        if self.metric == "dot":
            return products
        lengths = np.sqrt(np.square(vectors).sum(1))
        return np.clip(products / np.where(lengths > 0, lengths, 1), -1, 1)

    def _score(self, nearness: float) -> float:
        return float(np.sqrt(-nearness)) if self.metric == "euclidean" else nearness


def _rank(one: tuple[float, int, Any]) -> tuple[float, int]:
    return -one[0], one[1]


def check_metric(metric: str) -> None:
    """Raise UsageError for an unknown metric."""
    if metric not in METRICS:
        raise UsageError(f"{option('metric', metric)} is unknown; try {', '.join(METRICS)}")


def recall(found: Sequence[Sequence[Near]], exact: Sequence[Sequence[Near]]) -> float:
    """The share of the exact neighbors of all queries that `found` has too, 0 to 1."""
    pairs = [
        ({near.index for near in a}, {near.index for near in b})
        for a, b in zip(found, exact, strict=True)
    ]
    total = sum(len(true) for _, true in pairs)
    return sum(len(mine & true) for mine, true in pairs) / total if total else 1.0
