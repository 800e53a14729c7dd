"""Maps: vectors in two dimensions, by principal components, t-SNE or UMAP."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from textvae.errors import DataError, UsageError, option, shown
from textvae.progress import Progress, no_progress

MapMethod = Literal["pca", "tsne", "umap"]
METHODS: tuple[MapMethod, ...] = get_args(MapMethod)
_PERPLEXITY, _NEIGHBOURS = 30, 15  # the usual ones; fewer where there are few vectors
_PLACED_BY = 25  # neighbours that place another vector on a map by t-SNE
_LEAST = 5  # distinct vectors that t-SNE and UMAP need
_PACKAGES = {"tsne": "openTSNE", "umap": "umap"}  # as they are imported; extras by the method


class Projection(Protocol):
    """A map of N vectors, on which other vectors find their place."""

    @property
    def points(self) -> NDArray[np.float64]:
        """(N, 2)."""

    @property
    def explained(self) -> tuple[float, float] | None:
        """The share of the variance along each axis of the map; None if it has no linear axes."""

    def place(self, vectors: NDArray[np.floating]) -> NDArray[np.float64]:
        """The points (M, 2) of other vectors (M, D)."""


def project(
    vectors: NDArray[np.floating],
    method: MapMethod = "pca",
    *,
    seed: int = 0,
    progress: Progress = no_progress,
) -> Projection:
    """The map of vectors (N, D).

    Args:
        method: `pca` keeps the directions of largest variance, so distances are at most those of
            the vectors; `tsne` (van der Maaten & Hinton 2008) and `umap` (McInnes 2018) keep
            neighbours together, and distances between groups mean little.
        seed: of t-SNE and UMAP.

    Raises:
        UsageError: an unknown method, or one whose package is not installed.
        DataError: no vectors, or too few for t-SNE or UMAP.
    """
    check_method(method)
    if len(vectors) == 0:
        raise DataError("no vectors to map; give one at least")
    if method == "pca":
        return PrincipalComponents.of(vectors)
    distinct = len(np.unique(vectors, axis=0))
    if distinct < _LEAST:
        raise DataError(
            f"{option('method', method)} needs {_LEAST} or more distinct vectors, and there are "
            f"only {distinct}; use {option('method', 'pca')}"
        )
    return (_TSNE if method == "tsne" else _UMAP)(vectors, seed, progress)


def check_method(method: MapMethod) -> None:
    """Raise UsageError if the method is unknown or its package is not installed."""
    if method not in METHODS:
        raise UsageError(f"method {shown(method)} is unknown; try {', '.join(METHODS)}")
    # Importing the packages takes seconds, so they are only looked for.
    if method in _PACKAGES and find_spec(_PACKAGES[method]) is None:
        raise UsageError(
            f"{option('method', method)} needs a package that is not installed; try "
            f"pip install 'textvae[{method}]', or {option('method', 'pca')}"
        )


@dataclass(frozen=True, eq=False)
class PrincipalComponents:
    """The plane of largest variance. Pearson 1901.

    The larger loading of each axis is positive, so that the map does not depend on the signs that
    an eigenvalue solver happens to give.

    >>> found = PrincipalComponents.of(np.array([[0.0, 0.0, 1.0], [4.0, 0.0, 1.0]]))
    >>> found.points.tolist(), found.explained
    ([[-2.0, 0.0], [2.0, 0.0]], (1.0, 0.0))
    """

    mean: NDArray[np.float64]  # (D,)
    axes: NDArray[np.float64]  # (D, 2)
    points: NDArray[np.float64]  # (N, 2)
    explained: tuple[float, float]

    @classmethod
    def of(cls, vectors: NDArray[np.floating]) -> PrincipalComponents:
        """The plane of vectors (N, D)."""
        x = np.asarray(vectors, dtype=np.float64)
        mean = x.mean(0)
        centred = x - mean
        variances, directions = np.linalg.eigh(centred.T @ centred / len(x))  # ascending
        axes = np.zeros((x.shape[1], 2))
        shares = np.zeros(2)
        total = variances.clip(0).sum()
        for axis in range(min(2, x.shape[1])):
            direction = directions[:, -1 - axis]
            axes[:, axis] = direction * np.sign(direction[np.abs(direction).argmax()])
            shares[axis] = max(variances[-1 - axis], 0) / total if total > 0 else 0
        return cls(mean, axes, centred @ axes, (float(shares[0]), float(shares[1])))

    def place(self, vectors: NDArray[np.floating]) -> NDArray[np.float64]:
        """The points (M, 2) of other vectors (M, D)."""
        return (np.asarray(vectors, dtype=np.float64) - self.mean) @ self.axes


class _TSNE:
    """A map by openTSNE, on one thread, so that the seed alone decides. Poličar 2024."""

    explained = None

    def __init__(self, vectors: NDArray[np.floating], seed: int, progress: Progress) -> None:
        from openTSNE import TSNE

        steps = 0

        def watch(*_: Any) -> None:
            nonlocal steps
            steps += 50
            progress("t-SNE", min(steps, 750), 750)

        self._map = TSNE(
            perplexity=min(_PERPLEXITY, (len(vectors) - 1) / 3),
            random_state=seed % 2**32,
            n_jobs=1,
            callbacks=watch,
            callbacks_every_iters=50,
        ).fit(np.asarray(vectors, dtype=np.float64))
        self.points = np.array(self._map)

    def place(self, vectors: NDArray[np.floating]) -> NDArray[np.float64]:
        k = min(_PLACED_BY, len(self.points) - 1)
        x = np.asarray(vectors, dtype=np.float64)
        return np.array(self._map.transform(x, k=k, perplexity=min(5, k / 3)))


class _UMAP:
    """A map by umap-learn, on one thread, so that the seed alone decides."""

    explained = None

    def __init__(self, vectors: NDArray[np.floating], seed: int, progress: Progress) -> None:
        progress("UMAP", 0, 0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of numba and of missing TensorFlow, at the import
            from umap import UMAP

            self._map = UMAP(
                n_neighbors=min(_NEIGHBOURS, len(vectors) - 1),
                random_state=seed % 2**32,
                n_jobs=1,
                init="spectral" if len(vectors) > 3 * _LEAST else "random",
            )
            self.points = np.asarray(self._map.fit_transform(vectors), dtype=np.float64)

    def place(self, vectors: NDArray[np.floating]) -> NDArray[np.float64]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.asarray(self._map.transform(vectors), dtype=np.float64)
