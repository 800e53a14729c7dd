"""The divergence curve at its limits, and against its definition by brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest

from textvae.errors import DataError
from textvae.latent.divergence import FEWEST, curve_area, divergence, least_area


def test_equal_distributions_have_the_area_one() -> None:
    for p in (np.full(7, 1 / 7), np.array([0.9, 0.1, 0, 0]), np.array([1.0])):
        assert curve_area(p, p) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("scale", [1, 2, 5])
def test_disjoint_distributions_have_the_least_area(scale: float) -> None:
    p, q = np.array([0.3, 0.7, 0, 0, 0]), np.array([0, 0, 0.2, 0.5, 0.3])
    assert least_area(scale) == pytest.approx(1 / math.comb(2 * scale, scale))
    assert curve_area(p, q, scale=scale) == pytest.approx(least_area(scale), rel=2e-3)


def test_the_area_is_that_of_the_curve_drawn_finely_and_is_symmetric() -> None:
    random = np.random.default_rng(0)
    m = (np.arange(200_000) + 0.5) / 200_000
    for _ in range(5):
        p, q = random.dirichlet(np.full(6, 0.4), size=2)
        p[0], q[1] = 0, 0
        p, q = p / p.sum(), q / q.sum()
        r = m[:, None] * p + (1 - m[:, None]) * q
        x, y = (
            np.exp(-5 * sum(s[j] * np.log(s[j] / r[:, j]) for j in range(6) if s[j] > 0))
            for s in (q, p)
        )
        # From above: each point of the curve closes a rectangle down to the axis.
        expected = x[-1] + (np.diff(x[::-1]) * (y[::-1][:-1] + y[::-1][1:]) / 2).sum()
        assert curve_area(p, q) == pytest.approx(expected, abs=1e-3)
        assert curve_area(p, q) == pytest.approx(float(curve_area(q, p)), abs=1e-12)
        assert least_area() < curve_area(p, q) < 1


def test_far_sets_share_no_cluster_and_equal_sets_all() -> None:
    random = np.random.default_rng(1)
    a = random.normal(size=(200, 3))
    same = divergence(a, a)
    assert (same.clusters, same.area) == (20, pytest.approx(1))
    far = divergence(a, a + 1000)
    assert far.area == pytest.approx(least_area(), rel=2e-3)
    assert far.error == pytest.approx(0, abs=1e-12)
    # A decoder that always says the same sentence.
    collapsed = divergence(np.zeros((50, 3)), np.zeros((50, 3)))
    assert (collapsed.clusters, collapsed.area) == (1, 1)


def test_the_area_falls_as_the_sets_move_apart() -> None:
    random = np.random.default_rng(2)
    a, b = random.normal(size=(2, 400, 4))
    areas = [divergence(a, b + shift, seed=3).area for shift in (0, 0.4, 0.8, 1.6)]
    assert areas == sorted(areas, reverse=True)
    assert areas[0] > 0.8
    assert areas[-1] < 0.1


def test_the_error_is_the_spread_of_new_samples() -> None:
    random = np.random.default_rng(4)
    centres = np.eye(4) * 50  # clusters that every k-means finds
    p, q = np.array([0.4, 0.3, 0.2, 0.1]), np.array([0.1, 0.3, 0.2, 0.4])

    def drawn(shares: np.ndarray) -> np.ndarray:
        return centres[random.choice(4, 200, p=shares)] + random.normal(size=(200, 4))

    found = [divergence(drawn(p), drawn(q), k=4, seed=n) for n in range(40)]
    spread = np.std([one.area for one in found], ddof=1)
    assert np.mean([one.error for one in found]) == pytest.approx(spread, rel=0.3)


def test_few_vectors_are_refused() -> None:
    with pytest.raises(DataError, match="19 vectors have no divergence curve"):
        divergence(np.zeros((FEWEST - 1, 2)), np.zeros((99, 2)))
