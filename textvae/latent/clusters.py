"""Clusters of sentence vectors by k-means, and how they agree with labels.

The vectors are not standardised. The prior gives the latent its unit, in which a dimension that the
posterior does not use hardly varies; standardised, it would weigh as much as the others.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from textvae.errors import DataError, UsageError

LARGE = 20_000  # vectors above which mini-batches save minutes
_STARTS = 10


@dataclass(frozen=True)
class Clusters:
    """K clusters of N vectors, the largest first.

    Args:
        of: the cluster of each vector, (N,).
        centres: the mean of each cluster's vectors, (K, D).
        distances: of each vector to its centre, (N,).
    """

    of: NDArray[np.intp]
    centres: NDArray[np.float64]
    distances: NDArray[np.float64]

    @property
    def sizes(self) -> list[int]:
        """The number of vectors in each cluster, descending."""
        return np.bincount(self.of, minlength=len(self.centres)).tolist()

    @property
    def inertia(self) -> float:
        """Sum of the squared distances."""
        return float(np.square(self.distances).sum())

    def nearest(self, cluster: int, n: int, texts: Sequence[str]) -> list[int]:
        """Indices of the n vectors nearest to the centre, in order; equal texts once."""
        members = np.flatnonzero(self.of == cluster)
        found: dict[str, int] = {}
        for place in members[np.argsort(self.distances[members], kind="stable")]:
            if len(found) == n:
                break
            found.setdefault(texts[place], int(place))
        return list(found.values())


def cluster(vectors: NDArray[np.floating], k: int, *, seed: int = 0) -> Clusters:
    """The best of several k-means of vectors (N, D); above `LARGE` vectors, by mini-batches.

    Raises:
        UsageError: k below 1.
        DataError: fewer distinct vectors than k.
    """
    from sklearn.cluster import KMeans, MiniBatchKMeans
    from sklearn.exceptions import ConvergenceWarning

    if k < 1:
        raise UsageError(f"{k} clusters; use 1 or more")
    kind = KMeans if len(vectors) <= LARGE else MiniBatchKMeans
    vectors = np.ascontiguousarray(vectors, dtype=np.float64)
    if k > len(vectors):
        raise DataError(
            f"k is {k:,}, but the number of vectors is only {len(vectors):,}; use a smaller k"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # reported below, as an error
        found = kind(k, n_init=_STARTS, random_state=seed % 2**32).fit(vectors).labels_
    names, of, sizes = np.unique(found, return_inverse=True, return_counts=True)
    if len(names) < k:
        raise DataError(
            f"only {len(names):,} of {k:,} clusters are not empty, because too few vectors are "
            "distinct; use a smaller k"
        )
    rank = np.empty(k, dtype=np.intp)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(k)
    of = rank[of]
    centres = means(vectors, of, k)
    return Clusters(of, centres, np.linalg.norm(vectors - centres[of], axis=1))


def unit(vectors: NDArray[np.floating]) -> NDArray[np.floating]:
    """The vectors (N, D) scaled to length 1; zero vectors stay."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


def means(vectors: NDArray[np.floating], of: NDArray[np.intp], k: int) -> NDArray[np.float64]:
    """The mean of the vectors (N, D) of each cluster, (K, D)."""
    sums = np.zeros((k, vectors.shape[1]))
    np.add.at(sums, of, vectors)
    return sums / np.bincount(of, minlength=k)[:, None]


@dataclass(frozen=True)
class Agreement:
    """How clusters agree with labels, over the sentences that have one.

    Args:
        majorities: the most frequent label of each cluster and its share; None for a cluster
            without labels.
        purity: share of sentences that have the most frequent label of their cluster.
        nmi: mutual information of clusters and labels over the mean of their entropies, 0 to 1.
        n_labelled: number of sentences with a label.
    """

    majorities: tuple[tuple[str, float] | None, ...]
    purity: float
    nmi: float
    n_labelled: int


def agreement(clusters: Clusters, labels: Sequence[str | None]) -> Agreement | None:
    """The agreement of clusters and labels; None if no sentence has a label."""
    from sklearn.metrics import normalized_mutual_info_score

    labelled = [place for place, label in enumerate(labels) if label is not None]
    if not labelled:
        return None
    counts: list[Counter[str]] = [Counter() for _ in clusters.centres]
    for place in labelled:
        counts[clusters.of[place]][str(labels[place])] += 1
    majorities = [_majority(count) for count in counts]
    agreeing = sum(max(count.values(), default=0) for count in counts)
    nmi = normalized_mutual_info_score([labels[place] for place in labelled], clusters.of[labelled])
    return Agreement(tuple(majorities), agreeing / len(labelled), float(nmi), len(labelled))


def _majority(counts: Counter[str]) -> tuple[str, float] | None:
    if not counts:
        return None
    label = min(counts, key=lambda name: (-counts[name], name))
    return label, counts[label] / counts.total()
