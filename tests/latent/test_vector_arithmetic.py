"""Vector arithmetic agrees with its definitions and with a search by brute force."""

from __future__ import annotations

import numpy as np
import pytest

from textvae.latent.directions import along, analogy, mean_difference, separation, shifted

RANDOM = np.random.default_rng(3)
A, B = RANDOM.normal(size=(7, 5)), RANDOM.normal(size=(11, 5)) + 1.0


def test_a_is_to_b_as_a_is_to_b() -> None:
    a, b, c = A[:3]
    np.testing.assert_allclose(analogy(a, b, a), b)
    np.testing.assert_allclose(analogy(a, a, c), c)
    np.testing.assert_allclose(analogy(a, b, analogy(b, a, c)), c)
    assert analogy(a, b, c, scale=0.0).tolist() == c.tolist()
    assert analogy(a, b, c).dtype == c.dtype


def test_the_difference_moves_the_mean_of_one_set_to_the_mean_of_the_other() -> None:
    difference = mean_difference(A, B)
    np.testing.assert_allclose((A + difference).mean(0), B.mean(0))
    np.testing.assert_allclose(mean_difference(B, A), -difference)


def test_the_part_along_a_normal_is_the_shortest_move_to_the_other_score() -> None:
    normal, difference = RANDOM.normal(size=5), mean_difference(A, B)
    part = along(normal, difference)
    np.testing.assert_allclose((A.mean(0) + part) @ normal, B.mean(0) @ normal)
    np.testing.assert_allclose(along(-3 * normal, difference), part)
    for _ in range(100):  # moves to the same score that are not parallel to the normal
        sideways = RANDOM.normal(size=5)
        other = part + sideways - along(normal, sideways)
        np.testing.assert_allclose(other @ normal, difference @ normal)
        assert np.linalg.norm(other) >= np.linalg.norm(part)
    assert not along(np.zeros(5), difference).any()


def test_moves_add_up() -> None:
    z, direction = A.astype(np.float32), mean_difference(A, B)
    moved = shifted(z, direction, [0.0, 0.5, 2.0])
    assert moved.shape == (7, 3, 5)
    assert moved.dtype == np.float32
    np.testing.assert_array_equal(moved[:, 0], z)
    for row in range(7):
        np.testing.assert_allclose(moved[row, 2], A[row] + 2 * direction, atol=1e-6)
    again = shifted(moved[:, 1], direction, [1.5])[:, 0]
    np.testing.assert_allclose(again, moved[:, 2], atol=1e-6)


def test_separation_is_the_share_on_the_right_side() -> None:
    direction = mean_difference(A, B)
    threshold = ((A @ direction).mean() + (B @ direction).mean()) / 2
    right = [np.mean([a @ direction < threshold for a in A])]
    right.append(np.mean([b @ direction > threshold for b in B]))
    assert separation(A, B, direction) == pytest.approx(np.mean(right))
    assert separation(B, A, -direction) == pytest.approx(np.mean(right))
    assert separation(A, B + 100, mean_difference(A, B + 100)) == 1
    assert separation(A, B, -direction) == pytest.approx(1 - np.mean(right))
