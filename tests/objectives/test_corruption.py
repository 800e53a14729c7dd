"""What the encoder reads: each kind of noise does what it says, where it says, and no more."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from textvae.config import ObjectiveConfig
from textvae.data.batches import Tokens, collate
from textvae.data.tokenizers import PAD as PAD_NAME
from textvae.data.tokenizers import SPECIALS, Tokenizer
from textvae.errors import ConfigError
from textvae.objectives.corruption import Corruption, blanked, dropped, shuffled, substituted
from textvae.randomness.noise import StepNoise

PAD, EOS, FIRST = 0, 2, 3
ORDINARY = torch.arange(FIRST, 30)
RATES = {"noise_shuffle": 2.5, "noise_drop": 0.3, "noise_blank": 0.2, "noise_substitute": 0.2}

# Sentences whose words are all different, so that a word says where it stood.
numbered = st.lists(st.integers(0, 12), min_size=1, max_size=8).map(
    lambda lengths: [[FIRST + place for place in range(length)] for length in lengths]
)
seeds = st.integers(0, 2**32)
rates = st.sampled_from([0.05, 0.5, 0.95, 1.0])
quickly = settings(deadline=None, max_examples=40)


def noise_for(tokens: Tokens, seed: int = 0) -> StepNoise:
    B, T = tokens.ids.size()
    return StepNoise(seed, 0, torch.arange(B), B, T, torch.device("cpu"))


def sentences(tokens: Tokens) -> list[list[int]]:
    """The words of each sentence, after a check that its end and its padding are as they must."""
    for row, length in zip(tokens.ids.tolist(), tokens.lengths.tolist(), strict=True):
        assert row[length - 1] == EOS
        assert set(row[length:]) <= {PAD}
    pairs = zip(tokens.ids.tolist(), tokens.lengths.tolist(), strict=True)
    return [row[: length - 1] for row, length in pairs]


# drop


@quickly
@given(numbered, rates, seeds)
def test_what_is_kept_is_a_part_in_order_and_never_nothing_of_something(
    texts: list[list[int]], rate: float, seed: int
) -> None:
    tokens = collate(texts, EOS, PAD)
    found = dropped(tokens, rate, PAD, noise_for(tokens, seed))
    assert found.ids.shape == tokens.ids.shape
    for kept, text in zip(sentences(found), texts, strict=True):
        assert kept == [word for word in text if word in kept]
        assert bool(kept) == bool(text)


def test_each_place_is_dropped_at_its_rate() -> None:
    tokens = collate([list(range(FIRST, FIRST + 20))] * 4_000, EOS, PAD)
    kept = sentences(dropped(tokens, 0.3, PAD, noise_for(tokens)))
    counts = Counter(word for words in kept for word in words)
    error = 5 * (0.21 / 4_000) ** 0.5
    for word in range(FIRST, FIRST + 20):
        assert counts[word] / 4_000 == pytest.approx(0.7, abs=error)


def test_the_one_that_survives_is_any() -> None:
    tokens = collate([[3, 4, 5, 6]] * 2_000, EOS, PAD)
    kept = sentences(dropped(tokens, 1.0, PAD, noise_for(tokens)))
    assert {len(words) for words in kept} == {1}
    counts = Counter(word for words in kept for word in words)
    assert all(counts[word] == pytest.approx(500, abs=5 * 375**0.5) for word in (3, 4, 5, 6))


# shuffle


@quickly
@given(numbered, st.sampled_from([0.01, 0.5, 1.0, 1.5, 3.0, 100.0]), seeds)
def test_a_shuffled_sentence_is_a_permutation_that_moves_no_word_too_far(
    texts: list[list[int]], places: float, seed: int
) -> None:
    tokens = collate(texts, EOS, PAD)
    found = shuffled(tokens, places, noise_for(tokens, seed))
    assert torch.equal(found.lengths, tokens.lengths)
    for words, text in zip(sentences(found), texts, strict=True):
        assert sorted(words) == text
        for place, word in enumerate(words):
            assert abs(place - (word - FIRST)) < places + 1


def test_every_permutation_within_reach_occurs_and_three_places_are_reached() -> None:
    tokens = collate([list(range(FIRST, FIRST + 7))] * 3_000, EOS, PAD)
    words = sentences(shuffled(tokens, 3.0, noise_for(tokens)))
    moves = {place - (word - FIRST) for text in words for place, word in enumerate(text)}
    assert moves == {-3, -2, -1, 0, 1, 2, 3}
    short = collate([[3, 4, 5]] * 500, EOS, PAD)
    assert len({tuple(text) for text in sentences(shuffled(short, 3.0, noise_for(short)))}) == 6


def test_two_neighbours_change_places_as_often_as_sorting_says() -> None:
    """P(u1 > 1 + u2) of u1, u2 uniform in [0, r) is (r - 1)^2 / (2 r^2)."""
    tokens = collate([[3, 4]] * 20_000, EOS, PAD)
    for places in (0.5, 1.0, 3.0):
        swapped = shuffled(tokens, places, noise_for(tokens)).ids[:, 0] == 4
        expected = places**2 / (2 * (places + 1) ** 2)
        assert swapped.float().mean().item() == pytest.approx(expected, abs=5 * 0.5 / 141)


# blank and substitute


@quickly
@given(numbered, rates, seeds)
def test_words_that_are_not_blanked_or_substituted_stay(
    texts: list[list[int]], rate: float, seed: int
) -> None:
    tokens = collate(texts, EOS, PAD)
    blank = sentences(blanked(tokens, rate, PAD, noise_for(tokens, seed)))
    others = torch.tensor([50, 60, 61])
    replaced = sentences(substituted(tokens, rate, others, noise_for(tokens, seed)))
    for text, blanks, strange in zip(texts, blank, replaced, strict=True):
        assert all(found in (word, PAD) for word, found in zip(text, blanks, strict=True))
        assert all(found in (word, 50, 60, 61) for word, found in zip(text, strange, strict=True))
        if rate == 1.0:
            assert set(blanks) <= {PAD}
            assert set(strange) <= {50, 60, 61}


def test_shares_are_the_rates_and_substitutes_are_uniform() -> None:
    tokens = collate([[FIRST] * 20] * 2_000, EOS, PAD)
    n = 40_000
    blank = torch.tensor(sentences(blanked(tokens, 0.25, PAD, noise_for(tokens))))
    share = (blank == PAD).float()
    assert share.mean().item() == pytest.approx(0.25, abs=5 * (0.1875 / n) ** 0.5)
    assert (share.mean(0) - 0.25).abs().max().item() < 5 * (0.1875 / 2_000) ** 0.5
    others = torch.arange(100, 110)
    strange = torch.tensor(sentences(substituted(tokens, 0.25, others, noise_for(tokens))))
    counts = [(strange == other).float().mean().item() for other in others]
    assert counts == pytest.approx([0.025] * 10, abs=5 * (0.025 / n) ** 0.5)


# all together


def corruption(**noises: float) -> Corruption:
    return Corruption(ObjectiveConfig(**noises), PAD, ORDINARY)  # type: ignore[arg-type]


@quickly
@given(st.integers(1, 4), seeds)
def test_a_sentence_is_corrupted_alike_however_many_processes_share_the_batch(
    processes: int, seed: int
) -> None:
    texts = [[FIRST + (7 * i + j) % 20 for j in range(i)] for i in range(9)]
    tokens = collate(texts, EOS, PAD)
    whole = sentences(corruption(**RATES)(tokens, noise_for(tokens, seed)))
    assert whole != texts
    for rank in range(processes):
        share = collate(texts[rank::processes], EOS, PAD)
        places = torch.arange(rank, 9, processes)
        noise = StepNoise(seed, 0, places, 9, tokens.ids.size(1), torch.device("cpu"))
        assert sentences(corruption(**RATES)(share, noise)) == whole[rank::processes]


@pytest.mark.parametrize("kind", RATES)
def test_a_rate_of_nothing_draws_nothing(kind: str) -> None:
    tokens = collate([[3, 4, 5, 6, 7]] * 5, EOS, PAD)
    noise, untouched = noise_for(tokens), noise_for(tokens)
    assert corruption()(tokens, noise) is tokens
    assert torch.equal(noise.normal(3), untouched.normal(3))
    assert sentences(corruption(**{kind: RATES[kind]})(tokens, noise)) != sentences(tokens)
    assert not torch.equal(noise.normal(3), untouched.normal(3))


def test_the_clean_sentences_are_left_as_they_are() -> None:
    tokens = collate([[3, 4, 5, 6, 7]] * 5, EOS, PAD)
    before: tuple[Tensor, ...] = (tokens.ids.clone(), tokens.lengths.clone())
    corruption(**RATES)(tokens, noise_for(tokens))
    assert torch.equal(tokens.ids, before[0])
    assert torch.equal(tokens.lengths, before[1])


def test_substitutes_need_a_vocabulary() -> None:
    with pytest.raises(ConfigError, match=r"noise_substitute 0.1: .* vocab_size"):
        replace(corruption(noise_substitute=0.1), ordinary=torch.tensor([]))


@pytest.mark.parametrize("kind", ["word", "bpe", "unigram"])
def test_ordinary_tokens_are_those_that_text_is_made_of(kind: str) -> None:
    texts = ["the cat sees the dog", "a dog and a cat"]
    tokenizer = Tokenizer.train(texts, kind=kind, vocab_size=None if kind == "word" else 300)
    ordinary: Any = tokenizer.ordinary_ids
    used = {token for ids in tokenizer.encode(texts) for token in ids}
    special = tokenizer.vocab_size - len(ordinary)
    assert used <= set(ordinary)
    assert special == (len(SPECIALS) if kind == "word" else len(SPECIALS) - 1)
    assert tokenizer.decode([ordinary])[0].count(PAD_NAME) == 0
