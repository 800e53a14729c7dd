"""Edit distance of sequences, Levenshtein 1966."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray


def edit_distance(a: Sequence[Hashable], b: Sequence[Hashable]) -> int:
    """The least number of insertions, deletions and substitutions from a to b.

    >>> edit_distance("the soup was cold".split(), "the old soup was".split())
    2
    """
    row = list(range(len(b) + 1))  # distances of a[:i] to b[:j]
    for i, x in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (x != y))
    return row[-1]


def edit_distances(sequences: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    """The edit distance of each pair of N sequences of numbers, (N, N); all pairs at once.

    >>> edit_distances([[1, 2, 3], [1, 3], []]).tolist()
    [[0, 1, 3], [1, 0, 2], [3, 2, 0]]
    """
    n, lengths = len(sequences), np.array([len(sequence) for sequence in sequences], dtype=int)
    first, second = np.triu_indices(n, 1)
    distances = np.zeros((n, n), dtype=np.int64)
    if not len(first):
        return distances
    padded = np.zeros((n, lengths.max()), dtype=np.int64)
    for row, sequence in zip(padded, sequences, strict=True):
        row[: len(sequence)] = sequence
    a, b = padded[first], padded[second]  # (pairs, length)
    before = np.tile(np.arange(padded.shape[1] + 1), (len(first), 1))  # of a[:i] to each b[:j]
    found = before[np.arange(len(first)), lengths[second]]
    for i in range(1, padded.shape[1] + 1):
        here = np.empty_like(before)
        here[:, 0] = i
        differs = a[:, i - 1 : i] != b
        np.minimum(before[:, 1:] + 1, before[:, :-1] + differs, out=here[:, 1:])
        for j in range(1, here.shape[1]):  # insertions depend on the cell to the left
            np.minimum(here[:, j], here[:, j - 1] + 1, out=here[:, j])
        ended = lengths[first] == i
        found[ended] = here[ended, lengths[second][ended]]
        before = here
    distances[first, second] = distances[second, first] = found
    return distances
