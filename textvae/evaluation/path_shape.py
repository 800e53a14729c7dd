"""The shape of a path of sentences: how evenly its sentences lead from one end to the other.

Distances are edit distances (Levenshtein 1966) of sentences, which are sequences of words or
characters. The ends of a path must differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from textvae.edit_distance import edit_distance
from textvae.latent.units import rank_correlations

Path = Sequence[Sequence[str]]


def largest_step(path: Path) -> float:
    """The largest distance of neighbours / the distance of the ends.

    >>> largest_step(["a b c d".split(), "a b x d".split(), "a y x d".split()])
    0.5
    """
    return max(_steps(path)) / edit_distance(path[0], path[-1])


def smoothness(path: Path) -> float:
    """The distance of the ends / the sum of the distances of neighbours, above 0 and at most 1.

    1 if no step goes back or aside (triangle inequality). A path with a single jump has 1, too, so
    read the value together with `largest_step`. Carvalho 2025 (LangSpace).

    >>> smoothness(["a b c d".split(), "a b x d".split(), "a y x d".split()])
    1.0
    """
    return edit_distance(path[0], path[-1]) / sum(_steps(path))


def end_correlations(path: Path) -> tuple[float, float]:
    """Spearman correlations of the step with the similarity to the first and to the last sentence.

    Similarity falls as distance grows. (-1, 1) if each step leads away from the first sentence and
    towards the last. Spearman 1904; equal distances share the mean of their ranks.

    >>> [round(r, 9) for r in end_correlations(["a b c".split(), "x b c".split(), "x y c".split()])]
    [-1.0, 1.0]
    """
    similarities = [[-edit_distance(s, end) for end in (path[0], path[-1])] for s in path]
    start, end = rank_correlations(np.array(similarities, dtype=float), np.arange(len(path)))
    return float(start), float(end)


def _steps(path: Path) -> list[int]:
    return [edit_distance(s, t) for s, t in pairwise(path)]
