"""Posteriors that cannot collapse: batch normalisation is torch's own, and rates are kept."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from random_models import EOS, PAD, kl, random_model
from torch import Tensor, nn

from textvae.config import ModelConfig
from textvae.data.batches import collate
from textvae.gaussian import DiagonalGaussian
from textvae.models.posterior import (
    EPSILON,
    MOMENTUM,
    BatchNormalisedMeans,
    GaussianPosterior,
    PointPosterior,
    largest_log_variance,
)
from textvae.models.sentence import SentenceModel
from textvae.randomness.noise import StepNoise

SENTENCES = [[3, 4, 5, 4], [5], [], [4, 4, 3, 5, 3, 3, 4], [3, 5]]


def noise_for(total: int, longest: int = 8) -> StepNoise:
    return StepNoise(0, 0, torch.arange(total), total, longest, torch.device("cpu"))


def double_normalisation(size: int, scale: float) -> BatchNormalisedMeans:
    module = BatchNormalisedMeans(size, scale).double()
    with torch.no_grad():
        module.shift.copy_(torch.linspace(-1, 1, size))
    return module


# batch normalisation


def test_normalised_means_and_their_gradients_are_those_of_torch() -> None:
    torch.manual_seed(0)
    module = double_normalisation(4, 0.7)
    means = (3 * torch.randn(9, 4).double() + 2).requires_grad_()
    pull = torch.randn(9, 4).double()

    def gradients(normalised: Tensor) -> tuple[Tensor, ...]:
        return torch.autograd.grad((normalised**2 * pull).sum(), (means, module.shift))

    scale = torch.full((4,), 0.7, dtype=torch.double)
    reference = F.batch_norm(means, None, None, scale, module.shift, training=True, eps=EPSILON)
    found = module(means, noise_for(9))
    torch.testing.assert_close(found, reference, rtol=1e-12, atol=1e-12)
    for mine, theirs in zip(gradients(found), gradients(reference), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-12)


def test_running_statistics_are_the_bias_corrected_averages_of_torchs() -> None:
    """Torch's begin at 0 and 1 and forget those at the rate at which ours have never held them."""
    module, theirs = double_normalisation(4, 0.7), nn.BatchNorm1d(4, momentum=MOMENTUM).double()
    for step in range(1, 31):
        means = torch.randn(6, 4).double() * step + step
        module(means, noise_for(6))
        theirs(means)
        forgotten = (1 - MOMENTUM) ** step
        corrected = theirs.running_mean / (1 - forgotten)
        torch.testing.assert_close(module.running_mean, corrected, rtol=1e-10, atol=1e-10)
        corrected = (theirs.running_var - forgotten) / (1 - forgotten)
        torch.testing.assert_close(module.running_variance, corrected, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(module.running_weight, torch.tensor([1 - forgotten]).double())


def test_after_one_batch_evaluation_knows_its_statistics() -> None:
    module = double_normalisation(4, 0.7)
    means = torch.randn(500, 4).double() * 5 + 3
    trained = module(means, noise_for(500))
    torch.testing.assert_close(module(means, None), trained, rtol=0, atol=0.01)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 40), st.floats(0.1, 2.0), st.integers(0, 2**32))
def test_the_mean_kl_of_a_batch_is_at_least_what_is_promised(
    sentences: int, scale: float, seed: int
) -> None:
    random = torch.Generator().manual_seed(seed)
    module = double_normalisation(6, scale)
    means = torch.randn(sentences, 6, generator=random).double() * 50
    log_variance = torch.randn(sentences, 6, generator=random).double()
    q = DiagonalGaussian(module(means, noise_for(sentences)), log_variance)
    spread = means.var(0, correction=0)
    promised = (scale**2 * spread / (spread + EPSILON) + module.shift**2).sum() / 2
    assert kl(q).mean() >= promised - 1e-9
    best = DiagonalGaussian(module(means, noise_for(sentences)), torch.zeros(sentences, 6))
    assert kl(best).mean().item() == pytest.approx(promised.item())  # at the prior's variance


def batch_normalised_model(encoder: str = "gru") -> SentenceModel:
    model = random_model(posterior_batch_norm=0.7, encoder=encoder, latent_size=3)
    for step in range(3):
        words = collate(SENTENCES[step:], EOS, PAD)
        model.infer(words, noise_for(5 - step))
    return model


@torch.no_grad()
@pytest.mark.parametrize("encoder", ["gru", "transformer"])
def test_in_evaluation_a_posterior_is_that_of_its_sentence_alone(encoder: str) -> None:
    model = batch_normalised_model(encoder)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    q = model.infer(collate(SENTENCES, EOS, PAD))
    assert torch.pdist(q.mean).min() > 1e-3
    for row, sentence in enumerate(SENTENCES):
        alone = model.infer(collate([sentence], EOS, PAD))
        torch.testing.assert_close(alone.mean[0], q.mean[row], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(alone.log_variance[0], q.log_variance[row])
        code = model.code(collate([sentence], EOS, PAD))
        assert torch.equal(code, alone.mean)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@torch.no_grad()
def test_in_training_the_batch_has_the_spread_that_is_asked_for() -> None:
    model = batch_normalised_model()
    assert isinstance(model.posterior, GaussianPosterior)
    assert model.posterior.normalised is not None
    mean = model.infer(collate(SENTENCES, EOS, PAD), noise_for(5)).mean
    torch.testing.assert_close(mean.mean(0), model.posterior.normalised.shift.detach())
    torch.testing.assert_close(mean.std(0, correction=0), torch.full((3,), 0.7), rtol=1e-3, atol=0)


def test_no_rounding_error_moves_a_bias_that_cancels() -> None:
    """Adam makes a step of full length of any gradient but zero, and running means would lag."""
    model = batch_normalised_model()
    assert isinstance(model.posterior, GaussianPosterior)
    loss = model.infer(collate(SENTENCES, EOS, PAD), noise_for(5)).kl_to_standard_normal().sum()
    (gradient,) = torch.autograd.grad(loss, model.posterior.head.bias)
    assert (gradient[:3] == 0).all()
    assert (gradient[3:] != 0).all()


def test_a_batch_of_one_has_no_spread_and_does_no_harm() -> None:
    module = double_normalisation(3, 0.7)
    found = module(torch.tensor([[5.0, -7.0, 0.0]]).double(), noise_for(1))
    assert torch.equal(found[0], module.shift)
    assert module.running_variance.isfinite().all()


# committed rate


@pytest.mark.parametrize("rate", [1e-8, 1e-3, 0.1, 0.5, 3.0, 10.0])
def test_the_largest_variance_costs_the_rate(rate: float) -> None:
    log_variance = largest_log_variance(rate)
    assert log_variance < 0
    kl = (math.expm1(log_variance) - log_variance) / 2
    assert kl == pytest.approx(rate, rel=1e-7)
    assert kl >= rate


def test_the_documented_example_is_right() -> None:
    assert round(largest_log_variance(0.25), 6) == -1.19829


@torch.no_grad()
@pytest.mark.parametrize("rate", [0.01, 1.0, 8.0])
def test_no_posterior_costs_less_than_the_committed_rate_and_one_costs_just_that(
    rate: float,
) -> None:
    model = random_model(committed_rate=rate, latent_size=4)
    assert isinstance(model.posterior, GaussianPosterior)
    tokens = collate(SENTENCES, EOS, PAD)
    for bias in (-100.0, -3.0, 0.0, 3.0, 100.0):
        model.posterior.head.bias[4:] = bias
        q = model.infer(tokens)
        centred = DiagonalGaussian(torch.zeros_like(q.mean), q.log_variance)
        assert (centred.kl_to_standard_normal() >= rate / 4 - 1e-6).all()
        assert (kl(q) >= rate - 1e-6).all()
    torch.testing.assert_close(
        centred.kl_to_standard_normal().sum(-1), torch.full((5,), rate), rtol=1e-5, atol=1e-6
    )


def test_log_variances_follow_the_encoder_smoothly() -> None:
    """Increasing, and with a gradient wherever an encoder begins."""
    model = random_model(committed_rate=2.0, latent_size=1)
    assert isinstance(model.posterior, GaussianPosterior)
    found = []
    for bias in torch.linspace(-6, 6, 25):
        model.posterior.head.weight.data.zero_()
        model.posterior.head.bias.data[1:] = bias
        log_variance = model.infer(collate([[3]], EOS, PAD)).log_variance
        (slope,) = torch.autograd.grad(log_variance.sum(), model.posterior.head.bias)
        assert 0 < slope[1] < 1
        found.append(log_variance.item())
    assert found == sorted(found)


@torch.no_grad()
def test_both_remedies_together_give_both_guarantees() -> None:
    model = random_model(committed_rate=2.0, posterior_batch_norm=0.7, latent_size=4).double()
    assert isinstance(model.posterior, GaussianPosterior)
    model.posterior.normalised.shift.zero_()  # type: ignore[union-attr]
    kl = (
        model.infer(collate(SENTENCES, EOS, PAD), noise_for(5))
        .kl_to_standard_normal()
        .sum(-1)
        .mean()
    )
    assert kl > 2.0 + 4 * 0.49 / 2 - 1e-3


@pytest.mark.parametrize("kind", [GaussianPosterior, PointPosterior])
def test_vectors_of_length_1_begin_with_the_means_of_vectors_of_scale_1(kind: type) -> None:
    width, config = 400, ModelConfig(latent_size=8)
    vectors = F.normalize(torch.randn(200, width, generator=torch.Generator().manual_seed(0)))
    torch.manual_seed(0)
    plain = kind(config, width)
    torch.manual_seed(0)
    latent = kind(config, width, unit_length=True)(vectors)
    torch.testing.assert_close(latent.mean, plain(vectors * width**0.5).mean)
    assert latent.mean.std(0).mean() > 0.4  # 0.03 without, beside the unit noise of a posterior
    if kind is GaussianPosterior:
        torch.testing.assert_close(latent.log_variance, plain(vectors).log_variance)
