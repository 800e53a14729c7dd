"""The nearest vectors are those of brute force, whatever the blocks; ties follow a rule."""

from __future__ import annotations

import numpy as np
import pytest

from textvae.errors import UsageError
from textvae.latent.moments import Moments
from textvae.latent.neighbors import METRICS, Metric, Near, NearestVectors, recall


def by_blocks(
    vectors: np.ndarray, queries: np.ndarray, k: int, metric: Metric, size: int, **options: object
) -> list[list[Near]]:
    nearest = NearestVectors(queries, k, metric)
    for first in range(0, len(vectors), size):
        nearest.add(vectors[first : first + size], first)
    return nearest.found()


def brute_force(vectors: np.ndarray, query: np.ndarray, metric: Metric) -> np.ndarray:
    """The score of each vector, in float64."""
    v, q = vectors.astype(np.float64), query.astype(np.float64)
    if metric == "euclidean":
        return np.linalg.norm(v - q, axis=1)
    products = v @ q
    return products if metric == "dot" else products / np.linalg.norm(v, axis=1) / np.linalg.norm(q)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("centre", [0.0, 300.0])
def test_the_nearest_are_those_of_brute_force_whatever_the_blocks(
    metric: Metric, centre: float
) -> None:
    """Far from the origin, float32 products alone would mix up the neighbors."""
    random = np.random.default_rng(0)
    vectors = (centre + random.normal(size=(700, 6))).astype(np.float32)
    queries = (centre + random.normal(size=(5, 6))).astype(np.float32)
    found = by_blocks(vectors, queries, 9, metric, 64)
    for query, near in zip(queries, found, strict=True):
        scores = brute_force(vectors, query, metric)
        order = np.argsort(scores if metric == "euclidean" else -scores, kind="stable")[:9]
        np.testing.assert_allclose([one.score for one in near], scores[order], rtol=1e-12)
        assert [one.index for one in near] == order.tolist()
    for size in (1, 700):
        assert by_blocks(vectors, queries, 9, metric, size) == found


def test_the_earlier_of_equal_vectors_is_nearer() -> None:
    vectors = np.tile(np.random.default_rng(1).normal(size=(3, 4)), (40, 1))
    found = by_blocks(vectors, vectors[1:2], 50, "cosine", 16)
    assert [one.index for one in found[0][:40]] == list(range(1, 120, 3))
    assert [one.score for one in found[0][:40]] == [pytest.approx(1)] * 40


def test_equal_keys_count_once_by_the_first_and_a_key_can_be_left_out() -> None:
    vectors = np.array([[2.0], [1.0], [1.0], [3.0], [1.0], [2.0]])
    keys, items = ["b", "a", "a", "c", "a", "b"], list("uvwxyz")
    for left_out, expected in (
        (None, [(1, 1, "v"), (0, 2, "u")]),
        ("a", [(0, 2, "u"), (3, 3, "x")]),
    ):
        nearest = NearestVectors(np.zeros((1, 1)), 2, "euclidean", left_out=[left_out])
        for first in (0, 4):
            part = slice(first, first + 4)
            nearest.add(vectors[part], first, keys=keys[part], items=items[part])
        (found,) = nearest.found()
        assert [(one.index, one.score, one.item) for one in found] == expected


def test_a_zero_vector_is_similar_to_nothing_and_fewer_than_k_are_all() -> None:
    vectors = np.array([[0.0, 0.0], [-1.0, 0.0], [1.0, 1.0]])
    (found,) = by_blocks(vectors, np.array([[2.0, 0.0]]), 9, "cosine", 2)
    assert [(one.index, round(one.score, 6)) for one in found] == [
        (2, round(0.5**0.5, 6)),
        (0, 0.0),
        (1, -1.0),
    ]
    assert NearestVectors(np.ones((2, 3)), 1).found() == [[], []]
    with pytest.raises(UsageError, match="cosine, euclidean, dot"):
        NearestVectors(np.ones((1, 1)), 1, "manhattan")  # type: ignore[arg-type]


@pytest.mark.parametrize("metric", METRICS)
def test_the_unit_of_the_vectors_makes_no_difference(metric: Metric) -> None:
    """Down to lengths whose squares float32 does not hold."""
    vectors = np.random.default_rng(3).normal(size=(90, 5))
    expected = [one.index for one in by_blocks(vectors, vectors[:1], 7, metric, 20)[0]]
    for size in (1e-30, 1e-4, 1e12):
        (found,) = by_blocks(size * vectors, size * vectors[:1], 7, metric, 20)
        assert [one.index for one in found] == expected


def test_recall_is_the_share_of_the_exact_neighbors() -> None:
    exact = [[Near(0, 1.0), Near(1, 0.5)], [Near(2, 1.0)]]
    assert recall(exact, exact) == 1
    assert recall([[Near(1, 0.5), Near(9, 0.1)], [Near(3, 0.2)]], exact) == pytest.approx(1 / 3)


def test_moments_of_blocks_are_those_of_the_whole() -> None:
    vectors = 1000 + np.random.default_rng(2).normal(size=(50, 3)) @ np.diag([1, 2, 3])
    moments = Moments(3)
    for part in np.array_split(vectors, [0, 1, 20]):
        moments.add(part)
    assert moments.n == 50
    np.testing.assert_allclose(moments.mean, vectors.mean(0))
    np.testing.assert_allclose(moments.covariance, np.cov(vectors.T), rtol=1e-9)
