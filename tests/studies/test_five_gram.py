"""The n-gram yardstick is a distribution, and the one that Kneser and Ney describe."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts" / "studies"))
from five_gram import BEGIN, KneserNey, discount

SENTENCES = [["a", "b", "c"], ["a", "b", "a"], ["c", "a", "b"], ["b", "b"], []]


@pytest.mark.parametrize("order", [1, 2, 3])
def test_it_sums_to_one_after_every_context(order: int) -> None:
    model = KneserNey(SENTENCES, order)
    words = [BEGIN, *sorted(model.vocabulary), "never seen"]
    for context in itertools.product(words, repeat=order - 1):
        total = sum(model.probability(context, word) for word in model.vocabulary)
        assert total == pytest.approx(1.0, abs=1e-12)


def test_bigrams_by_hand() -> None:
    """p(b | a) from counts, and below it the share of the different words before b."""
    model = KneserNey(SENTENCES, 2)
    # After a: b 3 times, the end once.
    kinds = {("a", "b"), ("a", "</s>"), ("b", "c"), ("b", "a"), ("b", "b"), ("b", "</s>"),
             ("c", "a"), ("c", "</s>"), (BEGIN, "a"), (BEGIN, "b"), (BEGIN, "c"),
             (BEGIN, "</s>")}  # fmt: skip
    before = {word: sum(kind[1] == word for kind in kinds) for word in model.vocabulary}
    low = discount(before.values())
    high = discount([3, 1, 1, 1, 1, 2, 1, 1, 2, 1, 1, 1])
    below = (before["b"] - low + low * len(before) / 4) / len(kinds)
    expected = (3 - high + high * 2 * below) / 4
    assert model.probability(("a",), "b") == pytest.approx(expected, abs=1e-12)
