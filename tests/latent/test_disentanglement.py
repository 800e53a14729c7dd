"""A perfectly disentangled code scores 1 and an independent one 0; between, values by hand."""

from __future__ import annotations

import numpy as np
import pytest

from textvae.latent.disentanglement import dci, importances, information_gaps
from textvae.latent.units import entropy, factor_information


def factors(n: int) -> np.ndarray:
    """Three independent factors of 2, 3 and 4 classes, (n, 3)."""
    draw = np.random.default_rng(0)
    return np.stack([draw.integers(k, size=n) for k in (2, 3, 4)], axis=1)


def scores(codes: np.ndarray, of: np.ndarray) -> tuple[float, float, float, float]:
    """MIG, disentanglement, completeness and informativeness."""
    train = np.arange(len(codes)) % 2 == 0
    information = np.stack([factor_information(codes, factor) for factor in of.T], axis=1)
    gaps = information_gaps(information, np.array([entropy(factor) for factor in of.T]))
    found = [importances(codes, factor, train) for factor in of.T]
    result = dci(np.stack([importance for importance, _ in found], axis=1))
    assert result.disentanglement is not None
    accuracy = float(np.mean([accuracy for _, accuracy in found]))
    return float(gaps.mean()), result.disentanglement, float(result.completeness.mean()), accuracy


def test_a_code_with_a_factor_in_each_unit_scores_1() -> None:
    of = factors(600)
    noise = np.random.default_rng(1).normal(size=600)
    codes = np.stack([of[:, 2], noise, of[:, 0], -3.0 * of[:, 1]], axis=1)
    found = scores(codes, of)
    assert found[0] == pytest.approx(1, abs=0.1)  # the second best unit is chance, about 0
    assert found[1:] == pytest.approx((1, 1, 1))


def test_a_code_that_knows_nothing_scores_0() -> None:
    of = factors(4_000)
    codes = np.random.default_rng(2).normal(size=(4_000, 5))
    gap, disentanglement, completeness, _ = scores(codes, of)
    assert (gap, disentanglement, completeness) == pytest.approx((0, 0, 0), abs=0.01)


def test_a_factor_in_two_units_has_no_gap_and_is_not_complete() -> None:
    of = factors(600)
    codes = np.stack([of[:, 0], of[:, 0], of[:, 1], of[:, 2]], axis=1).astype(float)
    information = np.stack([factor_information(codes, factor) for factor in of.T], axis=1)
    gaps = information_gaps(information, np.array([entropy(factor) for factor in of.T]))
    assert gaps[0] == 0
    assert gaps[1:] == pytest.approx([1, 1], abs=0.1)


def test_dci_by_hand() -> None:
    found = dci(np.array([[1.0, 0.0], [0.0, 0.5], [0.0, 0.5]]))
    assert found.disentanglement == pytest.approx(1)  # each unit matters for one factor
    assert found.completeness == pytest.approx([1, 1 - np.log(2) / np.log(3)])
    mixed = dci(np.array([[0.6, 0.2], [0.4, 0.8]]))
    own = [1 - entropy_of(0.75, 0.25), 1 - entropy_of(1 / 3, 2 / 3)]
    assert mixed.disentanglement == pytest.approx((0.8 * own[0] + 1.2 * own[1]) / 2)
    assert mixed.completeness == pytest.approx([1 - entropy_of(0.6, 0.4), 1 - entropy_of(0.2, 0.8)])


def test_limits_of_dci() -> None:
    assert dci(np.ones((4, 3)) / 4).disentanglement == pytest.approx(0)
    assert dci(np.ones((4, 3)) / 4).completeness == pytest.approx([0, 0, 0])
    assert dci(np.array([[0.5], [0.5]])).disentanglement is None
    assert dci(np.zeros((3, 2))).completeness.tolist() == [0, 0]
    assert dci(np.ones((1, 2))).completeness.tolist() == [1, 1]
    assert information_gaps(np.array([[0.3, 0.6]]), np.array([0.6, 0.6])) == pytest.approx([0.5, 1])


def entropy_of(*shares: float) -> float:
    """In bits: the logarithm to base 2, for two units or factors."""
    return -sum(share * np.log2(share) for share in shares)
