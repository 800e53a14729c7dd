"""Metrics of text against sacrebleu, against slow counts, and at their limits."""

from __future__ import annotations

import itertools
import math

import pytest
import sacrebleu
import torch
from random_models import EOS, PAD, random_model

from textvae.data.batches import collate
from textvae.data.writing import writing_of
from textvae.evaluation.bleu import bleu, self_bleu
from textvae.evaluation.diversity import distinct_2, found_in
from textvae.evaluation.likelihood import chunks_by_length, codes
from textvae.evaluation.perplexity import perplexity, scored_perplexity, unit_lengths
from textvae.evaluation.reconstruction import exact_match, token_accuracy

PLAIN = ["Hello there, friend.", "It was late; we went home.", "Why?"]
TOKENIZED = ["hello there , friend .", "it was late ; we went home .", "mr. smith did n't know"]
CHINESE = ["今天天气很好。", "我们去公园吧!", "他 在 家吗?"]


@pytest.mark.parametrize(
    ("texts", "writing"),
    [
        (PLAIN, "plain"),
        (TOKENIZED, "tokenized"),
        (["no marks at all", "in lower case"], "tokenized"),
        (CHINESE, "unspaced"),
        (["今天 天气 很 好 。", "我们 去 公园 吧"], "tokenized"),
        (["오늘 날씨가 좋다.", "우리 집에 가자."], "plain"),
        (["วันนี้อากาศดี", "เราไปสวนกันเถอะ"], "unspaced"),
        (["CC(=O)Oc1ccccc1C(=O)O", "CCO"], "unspaced"),
    ],
)
def test_writing_is_told_from_spaces_and_marks(texts: list[str], writing: str) -> None:
    assert writing_of(texts) == writing


def test_units_are_words_or_characters_and_an_end() -> None:
    assert unit_lengths([" two  words ", ""], "plain").tolist() == [3, 1]
    assert unit_lengths(["他 在家", "吗"], "unspaced").tolist() == [4, 2]


@pytest.mark.parametrize(
    ("references", "writing", "tokenize"),
    [(PLAIN, "plain", "13a"), (TOKENIZED, "tokenized", "none"), (CHINESE, "unspaced", "char")],
)
def test_bleu_is_that_of_sacrebleu(references: list[str], writing: str, tokenize: str) -> None:
    hypotheses = [references[0], references[1][:-4] + ".", "Why, " + references[2]]
    direct = sacrebleu.corpus_bleu(hypotheses, [references], tokenize=tokenize, force=True)
    score, signature = bleu(hypotheses, references, writing)  # type: ignore[arg-type]
    assert score == direct.score
    assert 10 < score < 90
    assert f"tok:{tokenize}|" in signature
    assert bleu(references, references, writing)[0] == pytest.approx(100)  # type: ignore[arg-type]


def test_exact_match_sees_words_in_order_and_no_spaces() -> None:
    assert exact_match(["a b", "a  c ", "b a", ""], ["a b", "a c", "a b", "a"]) == 0.5


def test_token_accuracy_is_that_of_every_alternative_scored() -> None:
    model = random_model(seed=5)
    sentences = [(), (3,), (3, 3), (4, 5, 3), (5, 5), (4,), (3, 4, 5)]
    z = codes(model, chunks_by_length(sentences, model))
    correct = total = 0
    with torch.inference_mode():
        for i, sentence in enumerate(sentences):
            for t, token in enumerate((*sentence, EOS)):
                scores = {}
                for candidate in (3, 4, 5):
                    tokens = collate([(*sentence[:t], candidate)], EOS, PAD)
                    scores[candidate] = model.decoder.token_log_probs(tokens, z[i : i + 1])[
                        0, t
                    ].item()
                scores[EOS] = math.log1p(-sum(map(math.exp, scores.values())))
                correct += max(scores, key=scores.__getitem__) == token
                total += 1
    assert 0 < correct < total
    for batch_size in (1, 3, 100):
        chunks = chunks_by_length(sentences, model, batch_size)
        assert token_accuracy(model, chunks, z) == correct / total


def test_self_bleu_is_the_mean_over_samples_against_their_neighbours() -> None:
    words = ("cat", "dog", "sees", "the", "soup")
    samples = [" ".join(parts) for parts in itertools.product(words, repeat=4)][::60]
    found = self_bleu(samples, "tokenized", hypotheses=5, others=3)
    for i in range(5):
        others = [samples[(i + k) % len(samples)] for k in (1, 2, 3)]
        metric = sacrebleu.BLEU(tokenize="none", effective_order=True)
        assert found[i].item() == metric.sentence_score(samples[i], others).score
    assert len(found) == 5
    # Short of samples: all of them, each against all the others.
    assert len(self_bleu(samples[:3], "tokenized")) == 3


def test_self_bleu_at_its_limits() -> None:
    torch.testing.assert_close(
        self_bleu(["a b c d e"] * 4, "tokenized"), torch.full((4,), 100.0).double()
    )
    different = [" ".join(f"{i}{j}" for j in range(9)) for i in "abcd"]
    assert self_bleu(different, "tokenized").max() < 5
    with pytest.raises(ValueError, match="two"):
        self_bleu(["a"], "plain")


def test_distinct_bigrams_are_counted_within_sentences() -> None:
    assert distinct_2(["a b a b", "b a", "c"], "plain") == 2 / 4
    assert distinct_2(["他在他在"], "unspaced") == 2 / 3
    assert distinct_2(["a", ""], "plain") is None


def test_copies_are_whole_sentences() -> None:
    training = (text for text in ["the  cat", "a dog sees", "soup"])
    found = found_in(["the cat", "a dog", "soup", "soup", "Soup"], training)
    assert found.tolist() == [True, False, True, True, False]


def test_perplexity_of_a_uniform_choice_is_their_number() -> None:
    lengths = torch.tensor([3, 1, 5])
    value, error = perplexity(lengths * math.log(7), lengths)
    assert value == pytest.approx(7)
    assert error == pytest.approx(0, abs=1e-6)
    assert perplexity(torch.tensor([2.0]), torch.tensor([1])) == (pytest.approx(math.e**2), None)
    scored = scored_perplexity(lambda texts: [2 * math.log(3)] * len(texts), ["a", "b"], "plain")
    assert scored[0] == pytest.approx(3)


def test_error_of_the_perplexity_is_its_spread_over_resamples() -> None:
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(1, 12, (4000, 60), generator=generator)
    rates = 1 + torch.randn(4000, 60, generator=generator).double() * 0.3
    runs = [perplexity(r * n, n) for r, n in zip(rates, lengths, strict=True)]
    values, errors = (torch.tensor(column).double() for column in zip(*runs, strict=True))
    assert errors.mean().item() == pytest.approx(values.std().item(), rel=0.05)
