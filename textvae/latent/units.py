"""How the units of a code move with other quantities: numbers, words and factors.

A unit is one dimension of the code. Codes are (N, Z), one row a sentence.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.floating]
Values = NDArray[np.float64]
Numbers = NDArray[np.floating | np.integer]

BINS = 20
# Sentences that a word must occur in, and be missing in, before its correlations are listed.
FEWEST = 10


def correlations(codes: Codes, values: Numbers) -> Values:
    """Pearson correlation of each unit with values (N,), shape (Z,); 0 for a constant."""
    centred = codes - codes.mean(0, dtype=np.float64)
    other = values - np.mean(values, dtype=np.float64)
    return _over(other @ centred, np.linalg.norm(other) * np.linalg.norm(centred, axis=0))


def rank_correlations(codes: Codes, values: Numbers) -> Values:
    """Spearman correlation of each unit with values (N,), shape (Z,); 0 for a constant.

    The Pearson correlation of the ranks; equal values share the mean of their ranks.
    """
    ranked = np.stack([ranks(unit) for unit in codes.T], axis=1)
    return correlations(ranked, ranks(values))


def ranks(values: Numbers) -> Values:
    """The rank of each value, from 0, (N,); equal values share the mean of their ranks.

    >>> ranks(np.array([7.0, 3.0, 7.0])).tolist()
    [1.5, 0.0, 1.5]
    """
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return ((last - counts + last - 1) / 2)[places]


@dataclass(frozen=True)
class WordCorrelations:
    """The correlation of each unit with the presence of each of W words, (W, Z)."""

    words: Sequence[str]
    values: Values

    def rising(self, unit: int, n: int) -> list[tuple[str, float]]:
        """The n words that high values of the unit go with, and their correlations above 0."""
        return self._strongest(unit, n, 1)

    def falling(self, unit: int, n: int) -> list[tuple[str, float]]:
        """The n words that low values of the unit go with, and their correlations below 0."""
        return self._strongest(unit, n, -1)

    def _strongest(self, unit: int, n: int, sign: int) -> list[tuple[str, float]]:
        order = np.argsort(-sign * self.values[:, unit], kind="stable")[:n]
        found = [(self.words[place], float(self.values[place, unit])) for place in order]
        return [(word, value) for word, value in found if sign * value > 0]


def word_correlations(
    codes: Codes, words_of: Iterable[Collection[str]], *, fewest: int = FEWEST
) -> WordCorrelations:
    """The point-biserial correlation of each unit with the presence of each word.

    That is the Pearson correlation with 1 for sentences that have the word and 0 for the others.

    Args:
        words_of: the words of each sentence.
        fewest: words in fewer sentences, or missing in fewer, are left out.
    """
    rows_of: dict[str, list[int]] = defaultdict(list)
    for row, words in enumerate(words_of):
        for word in set(words):
            rows_of[word].append(row)
    N, Z = codes.shape
    known = sorted(word for word, rows in rows_of.items() if fewest <= len(rows) <= N - fewest)
    centred = codes - codes.mean(0, dtype=np.float64)
    deviation = np.sqrt(np.square(centred).mean(0))  # (Z,)
    values = np.zeros((len(known), Z))
    for place, word in enumerate(known):
        share = len(rows_of[word]) / N
        covariance = centred[rows_of[word]].sum(0) / N
        values[place] = _over(covariance, deviation * np.sqrt(share * (1 - share)))
    return WordCorrelations(known, values)


def quantile_bins(values: Numbers, n: int = BINS) -> NDArray[np.intp]:
    """The bin of each value, 0 to n-1, (N,): equally full bins, and equal values in one bin."""
    edges = np.quantile(values, np.arange(1, n) / n)
    return np.searchsorted(edges, values, side="left")


def entropy(labels: NDArray[np.intp]) -> float:
    """The entropy of labels (N,) from 0 upwards, in nats, by the estimate of Miller 1955.

    The entropy of the shares, which is too low by about (K - 1) / 2N for K classes, plus that.
    """
    counts = np.bincount(labels)
    shares = counts[counts > 0] / len(labels)
    return float(-(shares * np.log(shares)).sum() + (len(shares) - 1) / (2 * len(labels)))


def mutual_information(a: NDArray[np.intp], b: NDArray[np.intp]) -> float:
    """I(a; b) = H(a) + H(b) - H(a, b) of labels (N,) in nats, at least 0.

    With the entropies of Miller 1955, the estimate of independent labels is about 0 and not
    (K - 1) (L - 1) / 2N.
    """
    joint = a * (b.max() + 1) + b
    return max(entropy(a) + entropy(b) - entropy(joint), 0.0)


def factor_information(codes: Codes, factor: NDArray[np.intp], *, bins: int = BINS) -> Values:
    """I(unit; factor) of each unit in nats, the unit in equally full bins, shape (Z,)."""
    return np.array([mutual_information(quantile_bins(unit, bins), factor) for unit in codes.T])


def _over(numerator: Values, denominator: Values) -> Values:
    """numerator / denominator; 0 where the denominator is 0."""
    safe = np.where(denominator > 0, denominator, 1)
    return np.where(denominator > 0, numerator / safe, 0.0)
