"""ROUGE against values computed by hand and a subsequence table filled cell by cell."""

from __future__ import annotations

import random

import numpy as np
import pytest

from textvae.errors import UsageError
from textvae.evaluation.rouge import OVERLAPS, Overlap, against, rouge, words


@pytest.mark.parametrize(
    ("overlap", "text", "reference", "value"),
    [
        # Lin 2004, section 3: police, the and gunman in common; "police kill the gunman"
        # has the subsequence "police the gunman" of "police killed the gunman".
        ("rouge1", "police kill the gunman", "police killed the gunman", 3 / 4),
        ("rouge2", "police kill the gunman", "police killed the gunman", 1 / 3),
        ("rougeL", "police kill the gunman", "police killed the gunman", 3 / 4),
        ("rouge2", "the gunman kill police", "police killed the gunman", 1 / 3),
        ("rougeL", "the gunman kill police", "police killed the gunman", 2 / 4),
        # P = 2/4, R = 2/2: only two of the three `the` count.
        ("rouge1", "the the the dog", "the the", 2 * (1 / 2) * 1 / (1 / 2 + 1)),
        # Case and punctuation do not count.
        ("rouge1", "The dog, ran!", "the dog ran .", 1.0),
        ("rouge1", "", "the dog", 0.0),
        ("rouge2", "dog", "dog", 0.0),  # no word pair at all
        ("rougeL", "...", "!", 0.0),
    ],
)
def test_values_computed_by_hand(overlap: Overlap, text: str, reference: str, value: float) -> None:
    assert rouge(text, reference, overlap, writing="plain") == pytest.approx(value)


def test_text_without_spaces_is_read_by_characters() -> None:
    assert words("你好。a", "unspaced") == ["你", "好", "a"]
    assert rouge("你好吗", "你们好", "rouge1", writing="unspaced") == pytest.approx(2 / 3)


def longest_common_subsequence(a: list[str], b: list[str]) -> int:
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, one in enumerate(a, 1):
        for j, other in enumerate(b, 1):
            same = table[i - 1][j - 1] + 1 if one == other else 0
            table[i][j] = max(same, table[i - 1][j], table[i][j - 1])
    return table[-1][-1]


def test_rouge_l_is_that_of_the_whole_table() -> None:
    draw = random.Random(0)
    texts = [" ".join(draw.choices("abcd", k=draw.randrange(9))) for _ in range(40)]
    scores = against(texts, "rougeL", writing="tokenized")
    for text in texts:
        own = text.split()
        expected = [
            2 * longest_common_subsequence(own, other.split()) / max(len(own + other.split()), 1)
            for other in texts
        ]
        np.testing.assert_allclose(scores(text), expected)


@pytest.mark.parametrize("overlap", OVERLAPS)
def test_many_references_give_the_values_of_each_and_both_directions_agree(
    overlap: Overlap,
) -> None:
    draw = random.Random(1)
    texts = [" ".join(draw.choices("abc", k=draw.randrange(1, 7))) for _ in range(20)]
    for text in texts:
        found = against(texts, overlap, writing="tokenized")(text)
        for value, other in zip(found, texts, strict=True):
            assert value == rouge(other, text, overlap, writing="tokenized")


def test_an_unknown_overlap_is_refused() -> None:
    with pytest.raises(UsageError, match="rouge1, rouge2, rougeL"):
        against(["a"], "rouge3", writing="plain")  # type: ignore[arg-type]
