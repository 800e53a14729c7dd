"""Correlations and information of units against brute force, scikit-learn and limits."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import pearsonr, pointbiserialr, spearmanr
from sklearn.metrics import mutual_info_score

from textvae.latent import units


@pytest.fixture(scope="module")
def codes() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)


def test_rank_correlations_are_spearman_s_with_ties(codes: np.ndarray) -> None:
    values = np.random.default_rng(1).integers(3, 9, size=200) + (codes[:, 1] > 0)
    rounded = codes.round(1)  # ties on both sides
    found = units.rank_correlations(rounded, values)
    expected = [spearmanr(unit, values).statistic for unit in rounded.T]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    np.testing.assert_allclose(units.rank_correlations(codes, np.exp(codes[:, 2]))[2], 1)
    np.testing.assert_allclose(
        units.correlations(codes, values), [pearsonr(unit, values)[0] for unit in codes.T]
    )


def test_a_constant_correlates_with_nothing(codes: np.ndarray) -> None:
    assert units.rank_correlations(codes, np.ones(200)).tolist() == [0, 0, 0]
    assert units.correlations(np.ones((200, 2)), codes[:, 0]).tolist() == [0, 0]


def test_correlations_of_words_are_point_biserial(codes: np.ndarray) -> None:
    words = [["the", "up" if z > 0.3 else "down", *["rare"] * (row < 5)]
             for row, z in enumerate(codes[:, 0])]  # fmt: skip
    found = units.word_correlations(codes, words)
    assert list(found.words) == ["down", "up"]  # `the` is everywhere, `rare` nowhere enough
    for place, word in enumerate(found.words):
        present = np.array([word in sentence for sentence in words])
        expected = [pointbiserialr(present, unit).statistic for unit in codes.T]
        np.testing.assert_allclose(found.values[place], expected, atol=1e-6)
    assert [word for word, _ in found.rising(0, 5)] == ["up"]
    assert [word for word, _ in found.falling(0, 5)] == ["down"]


def test_bins_are_equally_full_and_keep_equal_values_together() -> None:
    values = np.random.default_rng(0).permutation(100).astype(float)
    assert np.bincount(units.quantile_bins(values, 5)).tolist() == [20] * 5
    repeated = np.repeat([3.0, 1.0, 2.0], [50, 30, 20])
    bins = units.quantile_bins(repeated)
    for value in (1.0, 2.0, 3.0):
        assert len(set(bins[repeated == value])) == 1
    assert len(set(bins)) == 3


def test_information_is_the_entropy_of_a_copy_and_nothing_of_chance() -> None:
    draw = np.random.default_rng(0)
    a, b = draw.integers(5, size=2_000), draw.integers(20, size=2_000)
    assert units.mutual_information(a, (a * 7 + 3) % 5) == pytest.approx(units.entropy(a))
    plain = mutual_info_score(a, b)
    assert plain > 0.01  # what the correction takes away
    assert units.mutual_information(a, b) < plain / 3
    # The correction by hand: 5, 20 and the number of pairs that occur, each less 1, over 2 N.
    pairs = len(set(zip(a, b, strict=True)))
    assert units.mutual_information(a, b) == pytest.approx(
        max(plain + (4 + 19 - (pairs - 1)) / 4_000, 0)
    )


def test_a_unit_that_is_the_factor_has_all_of_its_information(codes: np.ndarray) -> None:
    factor = (codes[:, 1] > 0).astype(int) + (codes[:, 1] > 1)
    exact = np.stack([codes[:, 0], factor], axis=1)
    found = units.factor_information(exact, factor)
    assert found[1] == pytest.approx(units.entropy(factor))
    assert found[0] < 0.1 * found[1]
