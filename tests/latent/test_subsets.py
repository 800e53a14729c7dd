"""The search by beams finds what the search of all subsets finds, where the beams are wide."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest

from textvae.latent.subsets import SubsetSearch

Score = Callable[[np.ndarray], np.ndarray]


def all_subsets(n: int) -> list[tuple[int, ...]]:
    return [subset for size in range(1, n + 1) for subset in itertools.combinations(range(n), size)]


def run(search: SubsetSearch, score: Score) -> int:
    """Run the search to its end; the number of candidates that were scored."""
    n = 0
    while search.goes_on:
        candidates = search.candidates()
        search.take(score(candidates))
        n += len(candidates)
    return n


def rugged(seed: int) -> Score:
    """A score without any order: a hash of the mean."""

    def score(means: np.ndarray) -> np.ndarray:
        return np.array(
            [
                np.random.default_rng([seed, *np.abs(mean * 1e6).astype(int)]).random()
                for mean in means
            ]
        )

    return score


@pytest.mark.parametrize("n", range(1, 7))
@pytest.mark.parametrize("seed", range(5))
def test_beams_that_hold_every_subset_search_them_all(n: int, seed: int) -> None:
    vectors = np.random.default_rng(seed).normal(size=(n, 3))
    score, subsets = rugged(seed), all_subsets(n)
    search = SubsetSearch(vectors, beams=math.comb(n, n // 2), pool=n)
    assert run(search, score) == len(subsets) == 2**n - 1
    scores = score(np.array([vectors[list(subset)].mean(0) for subset in subsets]))
    assert search.score == scores.max()
    assert search.best == subsets[scores.argmax()]


@pytest.mark.parametrize("beams", [1, 2, 5])
@pytest.mark.parametrize("pool", [1, 3, 12])
def test_the_result_is_never_worse_than_one_member_or_the_mean_of_all(
    beams: int, pool: int
) -> None:
    vectors = np.random.default_rng(beams).normal(size=(12, 2))
    score = rugged(pool)
    search = SubsetSearch(vectors, beams=beams, pool=pool)
    n = run(search, score)
    assert search.score == score(search.means([search.best]))[0]
    assert search.score >= max(score(vectors).max(), score(vectors.mean(0)[None])[0])
    assert n <= 13 + 12 * beams * pool


def test_narrow_beams_follow_a_score_that_rises_by_steps() -> None:
    """With one beam, the best set of three is reached through its own members."""
    vectors = np.eye(40)
    goal = vectors[[3, 17, 31]].mean(0)
    search = SubsetSearch(vectors, beams=1, pool=40)
    n = run(search, lambda means: -np.linalg.norm(means - goal, axis=1))
    assert search.best == (3, 17, 31)
    assert n < 41 + 4 * 40


def test_equal_scores_keep_the_smallest_subset() -> None:
    search = SubsetSearch(np.ones((4, 2)))
    run(search, lambda means: np.zeros(len(means)))
    assert search.best == (0,)
