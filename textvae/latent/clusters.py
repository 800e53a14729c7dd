"""K-means clusters of sentence vectors, and their agreement with labels.

Vectors are not standardized. The prior N(0, I) sets the scale of the latent, on which dimensions
that the posterior does not use hardly vary; standardized, they would weigh as much as the others.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from textvae.errors import DataError, UsageError

LARGE = 20_000  # number of vectors above which mini-batches save minutes
_STARTS = 10


@dataclass(frozen=True)
class Clusters:
    """K clusters of N vectors, the largest cluster first.

    Args:
        of: the cluster of each vector, (N,).
        centres: the mean vector of each cluster, (K, D).
        distances: the distance of each vector to its centre, (N,).
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
        """The sum of squared distances to the centres."""
        return float(np.square(self.distances).sum())

    def nearest(self, cluster: int, n: int, texts: Sequence[str]) -> list[int]:
        """The indices of the n vectors closest to the centre, without duplicate texts."""
        members = np.flatnonzero(self.of == cluster)
        found: dict[str, int] = {}
        for place in members[np.argsort(self.distances[members], kind="stable")]:
            if len(found) == n:
                break
            found.setdefault(texts[place], int(place))
        return list(found.values())


def cluster(vectors: NDArray[np.floating], k: int, *, seed: int = 0) -> Clusters:
    """The best of several k-means runs on vectors (N, D); mini-batch k-means above `LARGE`.

    Raises:
        UsageError: k is below 1.
        DataError: there are fewer than k distinct vectors.
    """
    from sklearn.cluster import KMeans, MiniBatchKMeans
    from sklearn.exceptions import ConvergenceWarning

    if k < 1:
        raise UsageError(f"{k} clusters: expected 1 or more")
    kind = KMeans if len(vectors) <= LARGE else MiniBatchKMeans
    vectors = np.ascontiguousarray(vectors, dtype=np.float64)
    if k > len(vectors):
        raise DataError(
            f"{k:,} clusters need at least as many sentences, but there are {len(vectors):,}; "
            "choose a smaller k"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # raised as an error below
        found = kind(k, n_init=_STARTS, random_state=seed % 2**32).fit(vectors).labels_
    names, of, sizes = np.unique(found, return_inverse=True, return_counts=True)
    if len(names) < k:
        raise DataError(
            f"only {len(names):,} of {k:,} clusters are not empty: there are too few distinct "
            "vectors; choose a smaller k"
        )
    rank = np.empty(k, dtype=np.intp)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(k)
    of = rank[of]
    centres = means(vectors, of, k)
    return Clusters(of, centres, np.linalg.norm(vectors - centres[of], axis=1))


def unit(vectors: NDArray[np.floating]) -> NDArray[np.floating]:
    """The vectors (N, D) scaled to length 1; zero vectors stay zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


def means(vectors: NDArray[np.floating], of: NDArray[np.intp], k: int) -> NDArray[np.float64]:
    """The mean vector of each cluster, (K, D), for vectors (N, D)."""
    sums = np.zeros((k, vectors.shape[1]))
    np.add.at(sums, of, vectors)
    return sums / np.bincount(of, minlength=k)[:, None]


@dataclass(frozen=True)
class Agreement:
    """The agreement of clusters with labels, over the labelled sentences.

    Args:
        majorities: the most frequent label of each cluster and its share; None for a cluster
            without labelled sentences.
        purity: share of sentences whose label is the most frequent one of their cluster.
        nmi: normalized mutual information of clusters and labels, 0 to 1; the normalizer is the
            mean of their entropies.
        n_labelled: number of labelled sentences.
    """

    majorities: tuple[tuple[str, float] | None, ...]
    purity: float
    nmi: float
    n_labelled: int


def agreement(clusters: Clusters, labels: Sequence[str | None]) -> Agreement | None:
    """The agreement of clusters with the labels of their sentences; None if no label is given."""
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
