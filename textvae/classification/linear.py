"""A linear classifier whose regularisation is chosen on its training labels only.

Multinomial logistic regression with an L2 penalty. Rows are sentences, columns are features. Labels
are integers; the classifier never predicts a class that it was not trained on.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from sklearn.linear_model import LogisticRegression

    Matrix: TypeAlias = NDArray[np.float64] | csr_matrix

STRENGTHS = tuple(10.0**exponent for exponent in range(-4, 5))  # C of scikit-learn, strongest first
FOLDS = 5
MANY_LABELS = 2_000  # above it one held-out fold is enough to compare the strengths
LEAST_LOG_PROBABILITY = -34.5  # log 1e-15, for a class that was not seen
_MAX_ITERATIONS = 1_000


@dataclass(frozen=True)
class Linear:
    """log p(class given x) = log softmax(weights x + bias).

    Args:
        classes: the labels of its training, ascending, (K,).
        weights: (K, D).
        bias: (K,).
        strength: the chosen C; None if there was no choice.
    """

    classes: NDArray[np.intp]
    weights: NDArray[np.float64]
    bias: NDArray[np.float64]
    strength: float | None = None

    def log_probabilities(self, features: Matrix) -> NDArray[np.float64]:
        """log p of each class for each row, in nats, (N, K)."""
        scores = features @ self.weights.T + self.bias  # (N, K)
        scores = scores - scores.max(axis=1, keepdims=True)
        return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))

    def predict(self, features: Matrix) -> NDArray[np.intp]:
        """The most probable label of each row, (N,)."""
        return self.classes[self.log_probabilities(features).argmax(axis=1)]


def fit(
    features: Matrix, labels: NDArray[np.intp], *, seed: int = 0, strength: float | None = None
) -> Linear:
    """The classifier of these rows, with the C of `strength`; None: that of `chosen_strength`.

    Without columns, or with one class, it predicts the share of each class.
    """
    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) == 1 or features.shape[1] == 0:
        return Linear(classes, np.zeros((len(classes), features.shape[1])), np.log(counts))
    if strength is None:
        strength = chosen_strength(features, labels, seed=seed)
    return _linear(_solver(strength), features, labels, strength)


def chosen_strength(features: Matrix, labels: NDArray[np.intp], *, seed: int = 0) -> float:
    """The C of `STRENGTHS` with the lowest log loss on held-out folds of these rows.

    The folds are stratified: `FOLDS` in turn, or one for more than `MANY_LABELS` rows. The path
    goes from strong to weak regularisation; each fit starts at the solution before, and the path
    ends after the loss has risen twice. Unlike accuracy, log loss differs between strengths even if
    few labels are held out, and it judges the probabilities.
    """
    n = len(labels)
    fold_of = stratified_folds(labels, min(FOLDS, n), seed)
    held_out = [fold_of == fold for fold in range(1 if n > MANY_LABELS else min(FOLDS, n))]
    paths = [
        (_solver(STRENGTHS[0]), features[~out], labels[~out], features[out], labels[out])
        for out in held_out
    ]
    losses: list[float] = []
    for strength in STRENGTHS:
        loss = 0.0
        for solver, inside, their_labels, outside, other_labels in paths:
            solver.set_params(C=strength)
            classifier = _linear(solver, inside, their_labels, strength)
            loss += log_loss(classifier, outside, other_labels)
        losses.append(loss)
        if len(losses) > 2 and losses[-1] > losses[-2] > losses[-3]:
            break
    return STRENGTHS[int(np.argmin(losses))]


def log_loss(classifier: Linear, features: Matrix, labels: NDArray[np.intp]) -> float:
    """Sum of -log p of the labels, in nats; an unseen class has p = 1e-15."""
    known = classifier.classes
    places = np.searchsorted(known, labels).clip(max=len(known) - 1)
    rows = np.arange(len(labels))
    log_p = classifier.log_probabilities(features)[rows, places]
    log_p = np.where(known[places] == labels, log_p, LEAST_LOG_PROBABILITY)
    return float(-log_p.clip(min=LEAST_LOG_PROBABILITY).sum())


def stratified_order(labels: NDArray[np.intp], seed: int) -> NDArray[np.intp]:
    """A seeded permutation whose every prefix has about the class shares of the whole.

    So draws of several sizes are nested; a small one may lack a rare class.
    """
    random = np.random.default_rng(seed)
    place = np.empty(len(labels))
    for rows in _rows_of_classes(labels):
        place[random.permutation(rows)] = (np.arange(len(rows)) + random.random()) / len(rows)
    return np.argsort(place, kind="stable")


def stratified_folds(labels: NDArray[np.intp], k: int, seed: int) -> NDArray[np.intp]:
    """The fold of each row, 0 to k-1, (N,): equal sizes and equal class shares, within one row."""
    random = np.random.default_rng(seed)
    by_class = np.concatenate([random.permutation(rows) for rows in _rows_of_classes(labels)])
    fold_of = np.empty(len(labels), dtype=np.intp)
    fold_of[by_class] = np.arange(len(labels)) % k
    return fold_of


def _rows_of_classes(labels: NDArray[np.intp]) -> Sequence[NDArray[np.intp]]:
    order = np.argsort(labels, kind="stable")
    _, counts = np.unique(labels, return_counts=True)
    return np.split(order, np.cumsum(counts)[:-1])


def _solver(strength: float) -> LogisticRegression:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, max_iter=_MAX_ITERATIONS, warm_start=True)


def _linear(
    solver: LogisticRegression, features: Matrix, labels: NDArray[np.intp], strength: float
) -> Linear:
    """The fit of the solver, from its last solution, with a row of weights for each class."""
    from sklearn.exceptions import ConvergenceWarning

    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) == 1:  # a fold may lack the other classes
        return Linear(classes, np.zeros((1, features.shape[1])), np.log(counts))
    with warnings.catch_warnings():
        # With weak regularisation and separable rows the solution is far away; the held-out loss
        # judges the point that was reached.
        warnings.simplefilter("ignore", ConvergenceWarning)
        solver.fit(features, labels)
    weights, bias = solver.coef_, solver.intercept_
    if len(classes) == 2:
        weights = np.concatenate([np.zeros_like(weights), weights])
        bias = np.concatenate([np.zeros_like(bias), bias])
    return Linear(classes, weights.copy(), bias.copy(), strength)
