"""Walks: the chosen sentences are the best of all choices, and come from the path."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
import torch
from random_models import random_word_model

from textvae.decoding.generation import Sampling, decode_batches
from textvae.decoding.walk import MOST_POINTS, decode_walks, even_walk, n_points
from textvae.edit_distance import edit_distance
from textvae.errors import UsageError


def cost(path: list[list[int]]) -> tuple[int, int]:
    """Repeated neighbours, then the sum of squared steps."""
    steps = [edit_distance(a, b) for a, b in pairwise(path)]
    return sum(step == 0 for step in steps), sum(step**2 for step in steps)


@pytest.mark.parametrize("seed", range(20))
def test_no_other_choice_of_places_is_better(seed: int) -> None:
    random = np.random.default_rng(seed)
    M, steps = 9, int(random.integers(2, 7))
    kinds = [random.integers(0, 3, random.integers(0, 8)).tolist() for _ in range(7)]
    sentences = [kinds[k] for k in np.sort(random.integers(0, 7, M))]  # stretches of equal ones
    walk = even_walk(sentences, steps).tolist()
    assert (walk[0], walk[-1]) == (0, M - 1)
    assert walk == sorted(set(walk))
    best = min(
        cost([sentences[place] for place in (0, *inner, M - 1)])
        for inner in combinations(range(1, M - 1), steps - 2)
    )
    assert cost([sentences[place] for place in walk]) == best


def test_all_points_of_a_short_path_are_taken() -> None:
    assert even_walk([[1], [2], [2]], 3).tolist() == [0, 1, 2]


def test_points_at_even_distances_are_among_the_points() -> None:
    for steps in (2, 3, 7, 60, 200, 1000, 10_000):
        M = n_points(steps)
        assert (M - 1) % (steps - 1) == 0
        assert max(MOST_POINTS, steps) >= M
        assert n_points(steps, "latent") == steps
    with pytest.raises(UsageError, match="spacing 'words' is unknown; try text or latent"):
        n_points(3, "words")  # type: ignore[arg-type]


def test_walks_do_not_depend_on_each_other() -> None:
    model = random_word_model(seed=4)
    points = 3 * torch.randn(3, 17, model.latent_size, generator=torch.Generator().manual_seed(0))
    together = list(decode_walks(model, points, 5, Sampling("greedy")))
    for path, walk in zip(points, together, strict=True):
        assert [walk] == list(decode_walks(model, path[None], 5, Sampling("greedy")))
        decoded = list(decode_batches(model, path, Sampling("greedy")))
        assert [point.ids for point in walk] == [decoded[round(16 * point.t)] for point in walk]
        assert (walk[0].t, walk[-1].t) == (0, 1)
