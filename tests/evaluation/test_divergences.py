"""The divergence of samples and real sentences, over vectors that are known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from textvae.evaluation.samples import SentenceEncoder, divergences
from textvae.latent.divergence import least_area

WORDS = ("cat", "dog", "soup", "sees", "the", "rain")
encoded: list[str] = []


def one_hot(texts: Sequence[str]) -> np.ndarray:
    """The unit vector of the first word of each text."""
    encoded.extend(texts)
    return np.eye(len(WORDS))[[WORDS.index(text.split()[0]) for text in texts]]


ENCODER = SentenceEncoder("first word", one_hot)
REAL = [f"{WORDS[i % 3]} {i}" for i in range(240)]  # three words of six


def test_samples_like_the_sentences_are_as_near_as_the_other_half() -> None:
    random = np.random.default_rng(0)
    like = [f"{WORDS[i]} x" for i in random.integers(0, 3, 120)]
    found = divergences(ENCODER, like, REAL, seed=1).report
    assert found["divergence_sentences"] == 120
    assert found["divergence_encoder"] == "first word"
    assert found["divergence_area"] > 0.95
    assert found["divergence_area_real"] > 0.95
    assert 0 < found["divergence_area_se"] < 0.05


def test_samples_without_a_common_cluster_are_as_far_as_can_be() -> None:
    other = [f"{WORDS[3 + i % 3]} x" for i in range(200)]
    found = divergences(ENCODER, other, REAL, seed=1).report
    assert found["divergence_area"] == pytest.approx(least_area(), rel=2e-3)
    # The samples make no difference to what real sentences have, if there are enough of them.
    again = divergences(ENCODER, REAL, REAL, seed=1).report
    assert again["divergence_area_real"] == found["divergence_area_real"]


def test_equal_texts_are_encoded_once_and_few_sentences_have_no_figure() -> None:
    encoded.clear()
    divergences(ENCODER, ["cat"] * 50, REAL[:6] * 20, seed=1)
    assert len(encoded) == len(set(encoded)) <= 7
    assert divergences(ENCODER, ["cat"] * 50, REAL[:38], seed=1).report == {}
    assert divergences(ENCODER, ["cat"] * 19, REAL, seed=1).report == {}
