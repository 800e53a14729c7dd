"""ROUGE: the overlap of a text with reference texts, from 0 to 1."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from textvae.data import writing as spelling
from textvae.data.writing import Writing
from textvae.errors import UsageError

Overlap = Literal["rouge1", "rouge2", "rougeL"]
OVERLAPS: tuple[Overlap, ...] = get_args(Overlap)
Scores = NDArray[np.float64]


def rouge(text: str, reference: str, overlap: Overlap = "rouge1", *, writing: Writing) -> float:
    """ROUGE F1 of a text and its reference, from 0 to 1. Lin 2004, sections 2 and 3.

    F1 is the harmonic mean of precision (by the units of the text) and recall (by the units of the
    reference). ROUGE-1 and ROUGE-2 count common words and word pairs, each at most as often as in
    the other text; ROUGE-L counts the words of the longest common subsequence.

    >>> rouge("the dog ran .", "the black dog ran home .", writing="tokenized")
    0.75
    """
    return float(against([reference], overlap, writing=writing)(text)[0])


def against(
    references: Sequence[str], overlap: Overlap = "rouge1", *, writing: Writing
) -> Callable[[str], Scores]:
    """A function that maps a text to its ROUGE F1 with each of N references, (N,).

    Raises:
        UsageError: an unknown overlap.
    """
    if overlap not in OVERLAPS:
        raise UsageError(f"overlap {overlap!r} is unknown; try {', '.join(OVERLAPS)}")
    split = [words(reference, writing) for reference in references]
    if overlap == "rougeL":
        return _by_subsequences(split, writing)
    return _by_ngrams(split, 1 if overlap == "rouge1" else 2, writing)


def words(text: str, writing: Writing) -> list[str]:
    """The words in lower case, without punctuation; single characters if writing is unspaced.

    >>> words("The dog's home.", "plain")
    ['the', 'dog', 's', 'home']
    """
    return [word for word in spelling.words(text, writing) if word[0].isalnum() or word[0] == "_"]


def _by_ngrams(
    references: Sequence[Sequence[str]], n: int, writing: Writing
) -> Callable[[str], Scores]:
    """ROUGE-n by an index of the n-grams: (references that hold the n-gram, how often)."""
    counted = [Counter(_ngrams(reference, n)) for reference in references]
    lengths = np.array([counts.total() for counts in counted])
    places: dict[tuple[str, ...], list[tuple[int, int]]] = defaultdict(list)
    for place, counts in enumerate(counted):
        for gram, count in counts.items():
            places[gram].append((place, count))
    index = {gram: np.array(found).T for gram, found in places.items()}

    def scores(text: str) -> Scores:
        grams = Counter(_ngrams(words(text, writing), n))
        common = np.zeros(len(lengths))
        for gram, count in grams.items():
            if gram in index:
                rows, counts = index[gram]
                common[rows] += np.minimum(counts, count)
        return _f1(common, grams.total(), lengths)

    return scores


def _by_subsequences(
    references: Sequence[Sequence[str]], writing: Writing
) -> Callable[[str], Scores]:
    """ROUGE-L by the table of dynamic programming, a row at a time for all references at once."""
    lengths = np.array([len(reference) for reference in references])
    numbers: dict[str, int] = {}
    ids = np.full((len(references), max(lengths, default=0)), -1)  # (N, T), padded by -1
    for row, reference in zip(ids, references, strict=True):
        row[: len(reference)] = [numbers.setdefault(word, len(numbers)) for word in reference]

    def scores(text: str) -> Scores:
        spoken = words(text, writing)
        longest = np.zeros((len(ids), ids.shape[1] + 1), dtype=np.int64)  # (N, T + 1)
        for word in spoken:
            if word in numbers:
                here = np.maximum(longest[:, 1:], longest[:, :-1] + (ids == numbers[word]))
                longest[:, 1:] = np.maximum.accumulate(here, axis=1)
        return _f1(longest[:, -1], len(spoken), lengths)

    return scores


def _ngrams(spoken: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(spoken[start : start + n]) for start in range(len(spoken) - n + 1)]


def _f1(
    common: NDArray[np.floating | np.integer], length: int, lengths: NDArray[np.integer]
) -> Scores:
    """2 PR / (P + R) = 2 common / (both lengths); 0 where both texts are empty."""
    return 2 * common / np.maximum(length + lengths, 1)
