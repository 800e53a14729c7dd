"""Scores for how far each unit of a code stands for one factor, and each factor for one unit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

TREES, SMALLEST_LEAF = 20, 5


def information_gaps(information: Matrix, entropies: NDArray[np.float64]) -> NDArray[np.float64]:
    """The gap of each factor, (F,): (I of its best unit - I of its second) / H of the factor.

    The mean over the factors is the mutual information gap (MIG), Chen 2018, section 4: 1 if each
    factor stands in one unit and in full, 0 if two units know each factor equally well.

    Args:
        information: I(unit; factor) in nats, (Z, F).
        entropies: H(factor) in nats, (F,).
    """
    if len(information) == 1:
        information = np.concatenate([information, np.zeros_like(information)])
    second, best = np.sort(information, axis=0)[-2:]
    return (best - second) / np.where(entropies > 0, entropies, 1)


@dataclass(frozen=True)
class Dci:
    """Disentanglement and completeness, each from 0 to 1. Eastwood & Williams 2018, section 2.

    The third figure, informativeness, is the accuracy of the predictor that gave the importances.

    Args:
        disentanglement: 1 if each unit matters for one factor only; None for a single factor. The
            mean of 1 - H(P_i) over the units, weighted by their importance: P_i is the importance
            of unit i for each factor as shares, H has the logarithm to base F.
        completeness: of each factor, (F,); 1 if one unit alone matters for the factor. 1 - H(P_j),
            P_j the importance of each unit for factor j as shares, H with the logarithm to base Z.
    """

    disentanglement: float | None
    completeness: NDArray[np.float64]


def dci(importances: Matrix) -> Dci:
    """Disentanglement and completeness of importances (Z, F), of each unit for each factor."""
    Z, F = importances.shape
    total = importances.sum()
    disentanglement = None
    if F > 1:
        weights = importances.sum(1) / (total if total > 0 else 1)
        disentanglement = float((weights * (1 - _entropies(importances, F))).sum())
    has_units = importances.sum(0) > 0
    return Dci(disentanglement, np.where(has_units, 1 - _entropies(importances.T, Z), 0.0))


def _entropies(rows: Matrix, base: int) -> NDArray[np.float64]:
    """The entropy of each row as shares, the logarithm to `base`; 0 for a base of 1."""
    sums = rows.sum(1, keepdims=True)
    shares = rows / np.where(sums > 0, sums, 1)
    logs = np.log(np.where(shares > 0, shares, 1))
    return -(shares * logs).sum(1) / (np.log(base) if base > 1 else 1)


def importances(
    codes: NDArray[np.floating],
    factor: NDArray[np.intp],
    train: NDArray[np.bool_],
    *,
    seed: int = 0,
) -> tuple[NDArray[np.float64], float]:
    """The importance of each unit for a factor, (Z,), and the accuracy on the other sentences.

    By a random forest, as in Eastwood & Williams 2018: the importance of a unit is the decrease in
    impurity by the splits on it, and all importances add up to 1.

    Args:
        codes: (N, Z).
        factor: the class of each sentence, (N,).
        train: True for the sentences that train the forest, (N,); the others test.
    """
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(
        TREES,
        # All units compete for each split: otherwise units that know nothing get a share.
        max_features=None,
        min_samples_leaf=SMALLEST_LEAF,
        random_state=seed % 2**32,
        n_jobs=1,
    ).fit(codes[train], factor[train])
    accuracy = float((forest.predict(codes[~train]) == factor[~train]).mean())
    return forest.feature_importances_, accuracy
