"""Paths between sentences: their figures where the decoder is known, and by slow definitions."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest
import torch
from random_models import random_word_model, word_tokenizer
from scipy.stats import spearmanr

from textvae.data.rows import Row
from textvae.decoding.generation import decode_batches, default_decoding
from textvae.edit_distance import edit_distance, edit_distances
from textvae.errors import DataError, UsageError
from textvae.evaluation.interpolations import (
    Interpolations,
    judge_paths,
    random_pairs,
)
from textvae.evaluation.likelihood import chunks_by_length, codes
from textvae.evaluation.path_shape import end_correlations, largest_step, smoothness
from textvae.evaluation.perplexity import perplexity, perplexity_difference
from textvae.evaluation.report import evaluate
from textvae.models.sentence import SentenceModel

TOKENIZER = word_tokenizer()
TEXTS = ["the cat sees the dog .", "soup .", "the dog", "cat cat cat", "dog sees soup .", "the"]


@cache
def slow_distance(a: str, b: str) -> int:
    """The recursive definition."""
    if not a or not b:
        return len(a) + len(b)
    return min(
        slow_distance(a[1:], b) + 1,
        slow_distance(a, b[1:]) + 1,
        slow_distance(a[1:], b[1:]) + (a[0] != b[0]),
    )


def test_edit_distance_is_the_recursive_one() -> None:
    random = np.random.default_rng(0)
    words = ["".join(random.choice(list("abc"), random.integers(0, 7))) for _ in range(40)]
    for a, b in zip(words, reversed(words), strict=True):
        assert edit_distance(a, b) == slow_distance(a, b)
    numbers = [[*map(ord, word)] for word in words]
    assert edit_distances(numbers).tolist() == [[edit_distance(a, b) for b in words] for a in words]
    assert edit_distances([[]]).tolist() == [[0]]
    assert edit_distances([[], []]).tolist() == [[0, 0], [0, 0]]


def test_no_path_is_more_even_than_one_of_equal_steps() -> None:
    even = ["a a a a", "a a a b", "a a b b", "a b b b", "b b b b"]
    assert largest_step([s.split() for s in even]) == 1 / 4
    assert largest_step(["a", "a", "b", "b"]) == 1  # one jump
    assert largest_step(["a", "xyz", "b"]) == 3  # a detour
    random = np.random.default_rng(1)
    for _ in range(200):
        path = ["".join(random.choice(list("ab"), random.integers(0, 5))) for _ in range(4)]
        if path[0] != path[-1]:
            assert largest_step(path) >= 1 / 3


def test_the_shape_of_a_path_at_its_limits() -> None:
    even = ["aaaa", "aaab", "aabb", "abbb", "bbbb"]
    assert (smoothness(even), end_correlations(even)) == (1, pytest.approx((-1, 1)))
    back = end_correlations(even[::-1])
    assert back == pytest.approx((-1, 1))  # a path from the other end is as good
    jump = ["aaaa", "aaaa", "bbbb", "bbbb"]
    assert smoothness(jump) == 1 == largest_step(jump)  # only the latter sees the jump
    assert end_correlations(jump) == pytest.approx((-2 / math.sqrt(5), 2 / math.sqrt(5)))
    detour = ["aaaa", "cccc", "aaaa", "bbbb"]
    assert smoothness(detour) == 1 / 3
    random = np.random.default_rng(2)
    for _ in range(50):
        path = ["".join(random.choice(list("abc"), random.integers(1, 5))) for _ in range(6)]
        if path[0] == path[-1]:
            continue
        assert 0 < smoothness(path) <= 1
        distances = [edit_distance(s, path[0]) for s in path]
        expected = spearmanr(range(6), [-d for d in distances]).statistic
        assert end_correlations(path)[0] == pytest.approx(expected)
        assert end_correlations(path[::-1])[1] == pytest.approx(-expected)


def test_the_error_of_a_difference_of_perplexities_is_paired() -> None:
    random = torch.Generator().manual_seed(3)
    lengths = torch.randint(1, 9, (3000, 50), generator=random)
    common = torch.randn(3000, 50, generator=random).double()
    own = torch.randn(3000, 50, generator=random).double()
    one, other = lengths * (1 + 0.3 * common), lengths * (1.2 + 0.3 * common + 0.05 * own)
    found = [
        perplexity_difference((a, n), (b, n)) for a, b, n in zip(one, other, lengths, strict=True)
    ]
    values, errors = (torch.tensor(column).double() for column in zip(*found, strict=True))
    assert errors.mean().item() == pytest.approx(values.std().item(), rel=0.05)
    same = perplexity_difference((one[0], lengths[0]), (one[0], lengths[0]))
    assert same == (0, 0)
    assert (
        perplexity_difference((one[0, :1], lengths[0, :1]), (one[1, :1], lengths[1, :1]))[1] is None
    )


def test_pairs_are_uniform_over_those_that_differ() -> None:
    texts = ["a", "a", "b", "a", "c"]
    pairs = random_pairs(texts, 1400, seed=3).tolist()
    counts = Counter(map(tuple, pairs))
    possible = {(i, j) for i in range(5) for j in range(5) if texts[i] != texts[j]}
    assert counts.keys() == possible  # 14 of them, 100 each in expectation
    assert max(abs(count - 100) for count in counts.values()) < 4.5 * math.sqrt(100)
    assert random_pairs(texts, 10, seed=3).tolist() == pairs[:10]
    assert random_pairs(texts, 10, seed=4).tolist() != pairs[:10]
    with pytest.raises(DataError, match="2 sentences are all equal"):
        random_pairs(["a", "a"], 1, seed=0)


def two_worded(kind: str) -> SentenceModel:
    """Says `cat cat cat ...` where the first latent is above 0 and `dog dog dog ...` below."""
    model = random_word_model(
        kind, latent_size=1, hidden_size=1, tie_weights=False, max_tokens=8, seed=2
    )
    cat, dog = (TOKENIZER.encode([word])[0][0] for word in ("cat", "dog"))
    with torch.no_grad():
        for parameter in (*model.decoder.network.parameters(), *model.decoder.output.parameters()):
            parameter.zero_()
        model.decoder.network.rnn.bias_ih_l0[1] = 50.0  # the first state stays for ever
        model.decoder.network.first_state.weight.fill_(1.0)
        model.decoder.output.weight[cat], model.decoder.output.weight[dog] = 1.0, -1.0
    return model


@pytest.mark.parametrize("kind", ["vae", "ae"])
def test_a_decoder_with_two_sentences_jumps_once(kind: str) -> None:
    model, pairs, steps = two_worded(kind), 40, 5
    z = codes(model, chunks_by_length(TOKENIZER.encode(TEXTS), model))
    z = z - z.mean()  # sentences on both sides
    figures = judge_paths(
        model, TOKENIZER, Interpolations(pairs, steps), TEXTS, z, "tokenized", seed=1
    ).report
    sides = (z[random_pairs(TEXTS, pairs, 1)][..., 0] > 0).tolist()
    crossing = sum(a != b for a, b in sides) / pairs
    assert 0.1 < crossing < 0.9
    assert figures["path_ends_alike"] == pytest.approx(1 - crossing)
    assert figures["path_distinct"] == pytest.approx((1 + crossing) / steps)
    assert (figures["path_largest_step"], figures["path_largest_step_se"]) == (1, 0)
    assert (figures["path_pairs"], figures["path_steps"]) == (pairs, steps)


def test_a_collapsed_decoder_has_one_sentence_a_path() -> None:
    model = two_worded("ae")
    with torch.no_grad():
        model.decoder.network.first_state.weight.zero_()
    report = evaluate(model, TOKENIZER, [*map(Row, TEXTS)], interpolations=Interpolations(9, 4))
    assert report["path_distinct"] == 1 / 4
    assert report["path_ends_alike"] == 1
    assert "path_largest_step" not in report


def test_figures_of_paths_are_their_definitions() -> None:
    model = random_word_model(seed=11, latent_size=2)
    z = 4 * torch.randn(len(TEXTS), 2, generator=torch.Generator().manual_seed(0))

    def scorer(texts: Sequence[str]) -> np.ndarray:
        return np.array([1.0 + 2 * len(set(text.split())) for text in texts])

    P, S = 12, 6
    chosen = Interpolations(P, S, spacing="latent", scorer=scorer)
    found = judge_paths(model, TOKENIZER, chosen, TEXTS, z, "tokenized", seed=5).report

    distinct, alike, apart, inside, ends = [], [], [], [], []
    for a, b in random_pairs(TEXTS, P, 5).tolist():
        points = torch.stack([z[a] + (z[b] - z[a]) * k / (S - 1) for k in range(S)])
        path = TOKENIZER.decode(list(decode_batches(model, points, default_decoding(model))))
        distinct.append(len(set(path)) / S)
        alike.append(path[0] == path[-1])
        if not alike[-1]:
            apart.append([text.split() for text in path])
        inside.append(path[1:-1])
        ends.append([path[0], path[-1]])
    assert found["path_distinct"] == pytest.approx(np.mean(distinct), rel=1e-12)
    assert found["path_distinct_se"] == pytest.approx(np.std(distinct, ddof=1) / math.sqrt(P))
    largest = [largest_step(path) for path in apart]
    assert found["path_largest_step"] == pytest.approx(np.mean(largest), rel=1e-12)
    assert found["path_smoothness"] == pytest.approx(np.mean([smoothness(p) for p in apart]))
    start, end = np.mean([end_correlations(path) for path in apart], axis=0)
    assert (found["path_from_start"], found["path_to_end"]) == pytest.approx((start, end))
    assert found["path_ends_alike"] == pytest.approx(np.mean(alike))
    assert found["path_ends_alike_se"] == pytest.approx(np.std(alike, ddof=1) / math.sqrt(P))
    assert np.std(distinct) > 0.05  # there is something to get wrong
    assert np.std(largest) > 0.1
    for key, parts in (("ppl_path", inside), ("ppl_path_ends", ends), ("ppl_path_real", [TEXTS])):
        texts = [text for part in parts for text in part]
        words = sum(len(text.split()) + 1 for text in texts)
        assert found[key] == pytest.approx(math.exp(scorer(texts).sum() / words))
    middle = [path[j] for path in inside for j in (1, 2)]  # two of six are in the middle
    words = sum(len(text.split()) + 1 for text in middle)
    of_middle = math.exp(scorer(middle).sum() / words)
    assert found["path_midpoint"] == pytest.approx(of_middle - found["ppl_path_ends"])
    assert found["path_real_sentences"] == len(TEXTS)
    # A path is one observation: its sentences are not independent of each other.
    nll = torch.tensor([scorer(part).sum() for part in inside])
    words_of = torch.tensor([sum(len(text.split()) + 1 for text in part) for part in inside])
    assert found["ppl_path_se"] == pytest.approx(perplexity(nll, words_of)[1])


def test_fewer_pairs_are_the_first_of_more_and_other_figures_stay() -> None:
    model = random_word_model(seed=3)
    rows = [*map(Row, TEXTS)]
    plain = evaluate(model, TOKENIZER, rows, samples=2)
    judged = evaluate(model, TOKENIZER, rows, samples=2, interpolations=Interpolations(5))
    assert {key: judged[key] for key in plain} == plain
    assert [key for key in judged if key not in plain][:3] == [
        "path_pairs",
        "path_steps",
        "path_spacing",
    ]


def test_what_has_no_path_is_refused() -> None:
    lm = random_word_model("lm")
    with pytest.raises(UsageError, match="no latent"):
        evaluate(lm, TOKENIZER, [*map(Row, TEXTS)], interpolations=Interpolations(5))
    for pairs, steps in ((0, 7), (5, 2)):
        with pytest.raises(UsageError):
            Interpolations(pairs, steps)
