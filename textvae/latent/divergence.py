"""How alike two sets of vectors are distributed: the area under their divergence curve.

Pillutla 2021 (MAUVE). The vectors are quantized by k-means, fitted to both sets together, so that
each set becomes a distribution over K clusters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from textvae.errors import DataError
from textvae.latent.clusters import cluster

FEWEST = 20  # vectors of a set
VECTORS_A_CLUSTER = 10  # of each set, as in the experiments of Pillutla 2021
SCALE = 5.0  # the constant c of Pillutla 2021
_MIXTURES = 200
_RESAMPLES = 200

Shares = NDArray[np.float64]


@dataclass(frozen=True)
class Divergence:
    """The area under the divergence curve of two sets of vectors.

    Args:
        area: 1 for equal distributions, and `least_area()` for clusters that are never shared.
        error: standard error over resamples of both sets (Efron 1979), the clusters kept.
        clusters: K.
    """

    area: float
    error: float
    clusters: int


def divergence(
    a: NDArray[np.floating], b: NDArray[np.floating], *, seed: int = 0, k: int | None = None
) -> Divergence:
    """The area under the divergence curve of the distributions of vectors (N, D) and (M, D).

    The area depends on the number of vectors: for two samples of one distribution it is below 1,
    and grows with the number. Compare areas of equal N and M only.

    Args:
        seed: of the k-means and of the resamples.
        k: the number of clusters; None: a tenth of the smaller set, as in the paper. Fewer where
            fewer vectors are distinct.

    Raises:
        DataError: a set has less than 20 vectors.
    """
    fewest = min(len(a), len(b))
    if fewest < FEWEST:
        raise DataError(f"{fewest} vectors have no divergence curve; give {FEWEST} or more")
    both = np.concatenate([a, b])
    K = min(k or round(fewest / VECTORS_A_CLUSTER), len(np.unique(both, axis=0)))
    of = cluster(both, K, seed=seed).of
    p, q = (np.bincount(part, minlength=K) / len(part) for part in (of[: len(a)], of[len(a) :]))
    random = np.random.default_rng(seed)
    resamples = [
        random.multinomial(len(part), shares, size=_RESAMPLES) / len(part)
        for part, shares in ((a, p), (b, q))
    ]
    return Divergence(
        float(curve_area(p, q)), float(curve_area(*resamples).std(ddof=1)), clusters=K
    )


def curve_area(p: Shares, q: Shares, *, scale: float = SCALE) -> Shares:
    """The area under the divergence curve of shares p and q (..., K), shape (...).

    The curve has the points exp(-c KL(q || r)), exp(-c KL(p || r)) for all mixtures
    r = m p + (1 - m) q with m between 0 and 1, and the corners (0, 1) and (1, 0). It is
    the same for (q, p). Pillutla 2021.

    >>> p = np.array([0.5, 0.5])
    >>> float(curve_area(p, p))
    1.0
    """
    # Dense at both ends, where a share that only one distribution has makes the curve steep.
    mixtures = np.sin(np.linspace(0, np.pi / 2, _MIXTURES + 1)[1:-1]) ** 2
    x, y = [np.ones(p.shape[:-1])], [np.zeros(p.shape[:-1])]
    for m in mixtures:
        r = m * p + (1 - m) * q
        x.append(np.exp(-scale * _kl(q, r)))
        y.append(np.exp(-scale * _kl(p, r)))
    x.append(np.zeros_like(x[0]))
    y.append(np.ones_like(y[0]))
    widths, heights = -np.diff(x, axis=0), np.array(y)
    return (widths * (heights[:-1] + heights[1:]) / 2).sum(0)


def least_area(scale: float = SCALE) -> float:
    """The area for two distributions that share no cluster: c B(c + 1, c), with the beta function.

    The curve is then (1 - m)^c, m^c.

    >>> round(1 / least_area())
    252
    """
    from scipy.special import beta

    return float(scale * beta(scale + 1, scale))


def _kl(p: Shares, r: Shares) -> Shares:
    """KL(p || r) in nats, where r has every cluster of p."""
    safe = np.where(p > 0, p / np.where(r > 0, r, 1), 1)
    return (p * np.log(safe)).sum(-1)
