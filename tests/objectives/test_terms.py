"""The terms of the loss beside the bound: each as its formula says, and what its gradient moves."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from random_models import EOS, PAD, random_model
from torch import Tensor

from textvae.config import ObjectiveConfig
from textvae.data.batches import Batch, collate
from textvae.gaussian import DiagonalGaussian
from textvae.objectives.adversary import Discriminator, discriminator_loss, encoder_loss
from textvae.objectives.bag_of_words import BagOfWords
from textvae.objectives.contrastive import contrastive_nll
from textvae.objectives.corruption import Corruption
from textvae.objectives.importance import importance_weighted_nll
from textvae.objectives.mmd import SCALES, mmd
from textvae.objectives.training_loss import TrainingLoss
from textvae.randomness.noise import StepNoise

SENTENCES = [[3, 4, 5, 4], [5], [4, 4, 3, 5, 3, 3], [3]]
Z = 2


def batch() -> Batch:
    tokens = collate(SENTENCES, EOS, PAD)
    places = torch.arange(len(SENTENCES))
    return Batch(tokens, tokens, places, len(SENTENCES), 7, np.arange(len(SENTENCES)))


def noise() -> StepNoise:
    return StepNoise(0, 0, torch.arange(len(SENTENCES)), len(SENTENCES), 7, torch.device("cpu"))


def loss_of(model: Any, weight: float | None = 1.0, **terms: Any) -> tuple[Tensor, Any]:
    torch.manual_seed(0)
    objective = ObjectiveConfig(**{"free_bits": 0.0, **terms})
    loss = TrainingLoss(model, objective)
    value, sums = loss(batch(), noise(), weight)
    return value, (loss, sums)


# the importance-weighted bound


def test_the_importance_weighted_loss_is_minus_the_log_of_the_mean_weight() -> None:
    rec, prior, posterior = (torch.rand(5, 3, dtype=torch.double) for _ in range(3))
    found = importance_weighted_nll(rec, prior, posterior, 0.4)
    for b in range(3):
        weights = [math.exp(-rec[k, b] + 0.4 * (prior[k, b] - posterior[k, b])) for k in range(5)]
        assert found[b].item() == pytest.approx(-math.log(sum(weights) / 5))


def test_one_importance_sample_or_the_same_one_twice_is_the_one_sample_bound() -> None:
    rec, prior, posterior = torch.rand(3, 1, 4)
    bound = rec[0] + 0.4 * (posterior[0] - prior[0])
    for times in (1, 2):
        samples = (quantity.expand(times, -1) for quantity in (rec, prior, posterior))
        torch.testing.assert_close(importance_weighted_nll(*samples, 0.4), bound)


def test_the_loss_of_several_samples_is_that_of_each_decoded_alone() -> None:
    model, K, B = random_model("vae"), 3, len(SENTENCES)
    found, (_, sums) = loss_of(model, importance_samples=K)
    q = model.infer(batch().source)
    epsilon = noise().normal(K * Z).view(B, K, Z)
    samples = [q.mean + q.stddev * epsilon[:, k] for k in range(K)]
    rec = torch.stack([-model.decoder.log_likelihood(batch().target, z) for z in samples])
    prior = torch.stack([DiagonalGaussian.standard(Z).log_prob(z) for z in samples])
    posterior = torch.stack([q.log_prob(z) for z in samples])
    expected = importance_weighted_nll(rec, prior, posterior, 1.0).mean()
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(sums["rec"], rec.mean(0).sum())


def test_the_samples_of_a_sentence_share_the_noise_of_training() -> None:
    once, again = noise(), noise()
    repeated = again.repeat(3)
    assert torch.equal(once.normal(5).repeat(3, 1), repeated.normal(5))
    assert torch.equal(once.uniform(2, 3).repeat(3, 1, 1), repeated.uniform(2, 3))
    assert torch.equal(once.normal(5), again.normal(5))  # both have drawn as often


def test_more_samples_tighten_the_bound() -> None:
    rec = torch.randn(64, 500, generator=torch.Generator().manual_seed(0))

    def bound(samples: int) -> float:
        one = torch.zeros(samples, 500)
        parts = [importance_weighted_nll(part, one, one, 1.0) for part in rec.split(samples)]
        return torch.stack(parts).mean().item()

    bounds = [bound(samples) for samples in (1, 2, 8, 64)]
    assert bounds == sorted(bounds, reverse=True)


# the bag of words


def test_the_bag_of_words_is_what_loops_give() -> None:
    bag, target = BagOfWords(Z, 6), batch().target
    z = torch.randn(len(SENTENCES), Z)
    found = bag(target, z)
    for b, sentence in enumerate(SENTENCES):
        logits = bag.words(z[b]).double()
        log_probs = logits - logits.exp().sum().log()
        expected = -sum(log_probs[token].item() for token in [*sentence, EOS])
        assert found[b].item() == pytest.approx(expected, rel=1e-5)


# maximum mean discrepancy


def slow_mmd(x: Tensor, y: Tensor) -> float:
    def kernel(a: Tensor, b: Tensor) -> float:
        distance = (a - b).double().square().sum().item()
        return sum(2 * len(a) * s / (2 * len(a) * s + distance) for s in SCALES)

    B = len(x)
    pairs = [(i, j) for i in range(B) for j in range(B) if i != j]
    within = sum(kernel(x[i], x[j]) + kernel(y[i], y[j]) for i, j in pairs) / len(pairs)
    return within - 2 * sum(kernel(a, b) for a in x for b in y) / B**2


def test_mmd_is_what_loops_give() -> None:
    x, y = torch.randn(2, 7, 3)
    assert mmd(x, y + 0.5).item() == pytest.approx(slow_mmd(x, y + 0.5), abs=1e-5)


def test_mmd_is_zero_in_expectation_for_the_prior_and_positive_elsewhere() -> None:
    random = torch.Generator().manual_seed(0)
    draws = [torch.randn(2, 16, 4, generator=random) for _ in range(400)]
    same = torch.stack([mmd(x, y) for x, y in draws])
    assert abs(same.mean()) < 3 * same.std() / 20
    for moved in (lambda x: x + 0.5, lambda x: 0.5 * x):
        assert torch.stack([mmd(moved(x), y) for x, y in draws]).mean() > 10 * same.std() / 20


def test_mmd_of_a_single_sentence_is_nothing_and_has_a_gradient() -> None:
    z = torch.randn(1, 4, requires_grad=True)
    mmd(z, torch.randn(1, 4)).backward()
    assert z.grad is not None
    assert not z.grad.any()


# the adversary


def test_both_players_have_the_cross_entropies_of_their_own_labels() -> None:
    discriminator = Discriminator(Z)
    z, prior = torch.randn(2, 5, Z)
    for_prior, for_codes = (discriminator(x).sigmoid() for x in (prior, z))
    torch.testing.assert_close(
        discriminator_loss(discriminator, z, prior), -for_prior.log() - (1 - for_codes).log()
    )
    torch.testing.assert_close(encoder_loss(discriminator, z), -for_codes.log())


def test_each_player_moves_its_own_parameters_only() -> None:
    discriminator = Discriminator(Z)
    z = torch.randn(5, Z, requires_grad=True)
    encoder_loss(discriminator, z).sum().backward()
    assert z.grad is not None
    assert all(parameter.grad is None for parameter in discriminator.parameters())
    z.grad = None
    discriminator_loss(discriminator, z, torch.randn(5, Z)).sum().backward()
    assert z.grad is None
    assert all(parameter.grad is not None for parameter in discriminator.parameters())


# contrastive pairs


def test_the_contrastive_loss_is_what_loops_give() -> None:
    torch.manual_seed(0)
    a, b = torch.randn(2, 5, 3, dtype=torch.double).float()
    found = contrastive_nll(a, b, 0.2)
    for i in range(5):
        cosines = [torch.cosine_similarity(a[i], b[j], dim=0).item() for j in range(5)]
        total = sum(math.exp(cosine / 0.2) for cosine in cosines)
        assert found[i].item() == pytest.approx(math.log(total) - cosines[i] / 0.2, rel=1e-5)


def test_codes_that_tell_nothing_apart_cost_log_b_and_one_sentence_nothing() -> None:
    same = torch.ones(6, 3)
    torch.testing.assert_close(contrastive_nll(same, 2 * same, 0.05), torch.full((6,), math.log(6)))
    assert contrastive_nll(same[:1], -same[:1], 0.05).item() == 0


def test_the_second_reading_has_noise_of_its_own() -> None:
    model = random_model("vae", embedding_dropout=0.3)
    terms = {"contrastive_weight": 1.0, "noise_blank": 0.3}
    _, (_, sums) = loss_of(model, **terms)
    draws = noise()
    corruption = Corruption(ObjectiveConfig(noise_blank=0.3), PAD, torch.tensor([3, 4, 5]))
    q = model.infer(corruption(batch().source, draws), draws)
    model.decoder.log_likelihood(
        batch().target, q.sample(draws.normal(Z)), draws
    )  # its draws come first
    again = model.code(corruption(batch().source, draws), draws)
    assert not torch.allclose(q.mean, again)
    expected = contrastive_nll(q.mean, again, 0.05).sum().detach()
    torch.testing.assert_close(sums["contrastive"], expected)


# their sum


@pytest.mark.parametrize("kind", ["vae", "ae"])
def test_the_loss_is_the_plain_one_and_its_terms_by_weight(kind: str) -> None:
    model = random_model(kind)
    plain, _ = loss_of(model)
    weights = {"bag_of_words_weight": 0.3, "mmd_weight": 7.0, "adversarial_weight": 2.0}
    found, (_, sums) = loss_of(model, **weights)
    terms = {name: sums[name] / len(SENTENCES) for name in sums}
    torch.testing.assert_close(
        found,
        plain
        + 0.3 * terms["bag_of_words"]
        + 7.0 * terms["mmd"]
        + 2.0 * terms["adversarial"]
        + terms["discriminator"],
    )


def test_without_a_weight_a_vae_is_trained_as_the_autoencoder_of_its_means() -> None:
    model = random_model("vae")
    for terms in ({}, {"mmd_weight": 3.0}, {"importance_samples": 4}, {"free_bits": 5.0}):
        found, _ = loss_of(model, None, **terms)
        codes = model.infer(batch().source).mean
        torch.testing.assert_close(
            found, -model.decoder.log_likelihood(batch().target, codes).mean()
        )
