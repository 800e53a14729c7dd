"""The subset of vectors whose mean scores highest, found by beams."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

Subset = tuple[int, ...]  # ascending indices of vectors

BEAMS, POOL = 10, 32


class SubsetSearch:
    """A search for the subset of N vectors (N, Z) whose mean scores highest.

    The means of subsets are convex combinations of the vectors, as in Iso 2021 (Coop), who score
    all 2^N - 1. Here beams reach the subsets of size k + 1 from the best subsets of size k. All
    single vectors and the mean of all vectors are always scored, so the result is never worse than
    either. The caller scores, so that the candidates of many searches can be decoded at once:

    >>> search = SubsetSearch(np.array([[0.0], [1.0], [5.0]]))
    >>> while search.goes_on:
    ...     search.take(-abs(search.candidates()[:, 0] - 3))  # the mean nearest to 3
    >>> search.best
    (1, 2)

    A search that has left nothing out is exhaustive. Otherwise it ends after the first size without
    a better subset.

    Args:
        beams: subsets of a size that are extended, the best.
        pool: vectors that extend them, those with the best scores of their own.
    """

    def __init__(
        self, vectors: NDArray[np.floating], *, beams: int = BEAMS, pool: int = POOL
    ) -> None:
        self._vectors = np.asarray(vectors, dtype=np.float64)
        self._beams, self._pool_size = beams, pool
        self._all: Subset = tuple(range(len(vectors)))
        self._pool: Sequence[int] = self._all
        self._is_exhaustive = True
        self._waiting: list[Subset] = [(one,) for one in self._all]
        if len(vectors) > 1:
            self._waiting.append(self._all)
        self.best: Subset = ()
        self.score = -np.inf

    @property
    def goes_on(self) -> bool:
        """False at the end, when there are no more candidates."""
        return bool(self._waiting)

    def candidates(self) -> NDArray[np.float64]:
        """The means to score next, (M, Z)."""
        return self.means(self._waiting)

    def means(self, subsets: Iterable[Sequence[int]]) -> NDArray[np.float64]:
        """The mean of the vectors of each subset, (M, Z)."""
        found = [self._vectors[list(subset)].mean(0) for subset in subsets]
        return np.array(found).reshape(-1, self._vectors.shape[1])

    def take(self, scores: Sequence[float] | NDArray[np.floating]) -> None:
        """Take the scores of the candidates (M,), and choose the next candidates."""
        scored = list(zip(self._waiting, map(float, scores), strict=True))
        before = self.score
        for subset, score in scored:  # the first of the best, so the smallest
            if score > self.score:
                self.best, self.score = subset, score
        ranked = sorted(scored, key=lambda pair: -pair[1])  # stable
        of_size = [subset for subset, _ in ranked if len(subset) == len(scored[0][0])]
        if len(of_size[0]) == 1:
            self._pool = [one for (one,) in of_size[: self._pool_size]]
            self._is_exhaustive = len(of_size) <= self._pool_size
        self._is_exhaustive &= len(of_size) <= self._beams
        if self._is_exhaustive or self.score > before:
            self._waiting = self._extensions(of_size[: self._beams])
        else:
            self._waiting = []

    def _extensions(self, subsets: Iterable[Subset]) -> list[Subset]:
        """The subsets with one vector of the pool more, each once, without the set of all."""
        found = (
            tuple(sorted((*subset, one)))
            for subset in subsets
            for one in self._pool
            if one not in subset
        )
        return [subset for subset in dict.fromkeys(found) if subset != self._all]
