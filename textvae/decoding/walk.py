"""Walks: a few of the sentences along a path in the latent, chosen so that each step changes some.

The decoder is a step function of z: on stretches of a path it says the same sentence, and between
two of them it may change most words at once. Points at equal distances in the latent repeat some
sentences and jump over others. So the path is decoded at many points, and the points are chosen by
their sentences.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from textvae.decoding.generation import decode_batches
from textvae.decoding.settings import Sampling
from textvae.edit_distance import edit_distances
from textvae.errors import UsageError, shown
from textvae.models.sentence import SentenceModel

Spacing = Literal["text", "latent"]

PER_STEP = 8  # points that are decoded for each step of a walk
MOST_POINTS = 257  # of a path; a walk of more steps takes its points as they are


class WalkPoint(NamedTuple):
    """A sentence of a walk, as token ids, and its place on the path, from 0 to 1."""

    t: float
    ids: list[int]


def n_points(steps: int, spacing: Spacing = "text") -> int:
    """How many points of a path are decoded for a walk of so many steps, both ends included.

    The points of a walk at even distances in the latent are among them; with the spacing `latent`
    there are no others.

    Raises:
        UsageError: an unknown spacing.
    """
    if spacing not in get_args(Spacing):
        known = " or ".join(get_args(Spacing))
        raise UsageError(f"spacing {shown(spacing)} is unknown; try {known}")
    if spacing == "latent":
        return steps
    per_step = min(PER_STEP, (MOST_POINTS - 1) // (steps - 1))
    return max(per_step, 1) * (steps - 1) + 1


def even_walk(sentences: Sequence[Sequence[int]], steps: int) -> NDArray[np.int64]:
    """The places of `steps` sentences along a path of M, in their order, both ends included.

    Of all choices, those with the fewest repeated neighbours; of these, the one with the smallest
    sum of squared edit distances between neighbours, which is smallest for equal steps.

    Args:
        sentences: M >= steps sentences along the path, as token ids.

    >>> even_walk([[1], [1], [1], [2], [3]], 3).tolist()
    [0, 3, 4]
    """
    places: dict[tuple[int, ...], int] = {}
    kinds = np.array([places.setdefault(tuple(s), len(places)) for s in sentences])
    distances = edit_distances(list(places))[kinds][:, kinds].astype(float)  # (M, M)
    M = len(kinds)
    repeat = M * max(distances.max(), 1.0) ** 2  # more than any choice without it
    costs = distances**2 + np.where(distances == 0, repeat, 0.0)
    costs[np.tril_indices(M)] = np.inf  # a walk goes forward
    total = np.full(M, np.inf)
    total[0] = 0.0
    origins = np.empty((steps, M), dtype=np.int64)
    for step in range(1, steps):
        through = total[:, None] + costs  # (from, to)
        origins[step] = through.argmin(0)
        total = through.min(0)
    walk = [M - 1]
    for step in range(steps - 1, 0, -1):
        walk.append(int(origins[step, walk[-1]]))
    return np.array(walk[::-1])


def decode_walks(
    model: SentenceModel, points: Tensor, steps: int, settings: Sampling, *, seed: int = 0
) -> Iterator[list[WalkPoint]]:
    """A walk of `steps` sentences for each path of points (P, M, Z), with M >= steps.

    The point at (path, place) is decoded with the stream (seed, path * M + place).
    """
    P, M, Z = points.size()
    decoded = decode_batches(model, points.reshape(P * M, Z), settings, seed=seed)
    for _ in range(P):
        sentences = list(islice(decoded, M))
        places = even_walk(sentences, steps) if steps < M else range(M)
        yield [WalkPoint(int(place) / (M - 1), sentences[place]) for place in places]
