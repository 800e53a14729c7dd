"""Priors: samples, densities and KLs agree with each other, also for one that is not built in."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from mixture_prior import GaussianMixture
from random_models import random_model, random_word_model, word_tokenizer
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal, Normal

from textvae import TextVAE
from textvae.config import Config, DataConfig, ObjectiveConfig
from textvae.data.batches import Batch, collate
from textvae.errors import ConfigError, TextVAEError, UsageError
from textvae.evaluation.likelihood import chunks_by_length, importance_weighted, posteriors
from textvae.evaluation.refined_posteriors import refine
from textvae.gaussian import DiagonalGaussian
from textvae.models.flow_prior import FlowPrior
from textvae.models.mixture_prior import MixturePrior
from textvae.models.prior import CodeGaussian, Prior, StandardNormal, register_prior
from textvae.objectives.training_loss import TrainingLoss
from textvae.randomness.noise import StepNoise
from textvae.saving.folder import load_model, save_model

SENTENCES = [[3, 4, 5], [5, 3], [4, 4, 4, 3], []]


def priors() -> list[Prior]:
    """One of each kind, in two dimensions, with parameters that matter."""
    torch.manual_seed(0)
    codes = CodeGaussian(2)
    codes.fit(torch.randn(500, 2) @ torch.tensor([[2.0, 1.0], [0.0, 0.5]]) + 1)
    mixture = GaussianMixture(2)
    with torch.no_grad():
        mixture.logits.copy_(torch.tensor([0.0, 1.0, -1.0]))
        mixture.means.mul_(2)
        mixture.log_variances.normal_(std=0.5)
    fitted = MixturePrior(2, 3)
    fitted.log_weights.copy_(torch.tensor([0.5, 0.3, 0.2]).log())
    fitted.means.copy_(torch.tensor([[2.0, 1.0], [-2.0, 0.0], [0.0, -3.0]]))
    fitted.factors.copy_(
        torch.tensor([[[0.5, 0.0], [0.4, 0.7]], [[1.0, 0.0], [-1.5, 0.3]]])[[0, 1, 0]]
    )
    return [StandardNormal(2), codes, mixture, fitted]


@pytest.mark.parametrize("prior", priors(), ids=lambda prior: type(prior).__name__)
@torch.no_grad()
def test_the_density_is_one_and_its_samples_have_its_moments(prior: Prior) -> None:
    axis = torch.linspace(-12, 12, 481, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)  # (N, 2)
    mass = prior.log_prob(grid).exp() * (axis[1] - axis[0]) ** 2
    assert mass.sum().item() == pytest.approx(1, abs=1e-6)
    z = prior.sample(torch.randn(200_000, prior.noise_size, dtype=torch.float64))
    mean = (mass[:, None] * grid).sum(0)
    spread = (mass[:, None] * (grid - mean) ** 2).sum(0).sqrt()
    torch.testing.assert_close(z.mean(0), mean, atol=0.02, rtol=0)
    torch.testing.assert_close(z.std(0), spread, atol=0.02, rtol=0.01)


@pytest.mark.parametrize("prior", priors(), ids=lambda prior: type(prior).__name__)
@torch.no_grad()
def test_the_kl_is_the_mean_of_log_q_less_log_p(prior: Prior) -> None:
    q = DiagonalGaussian(torch.tensor([[0.5, -1.0], [0.0, 2.0]]), torch.tensor([[-1.0, 0.3]] * 2))
    z = q.sample(torch.randn(100_000, 2, 2))
    expected = (q.log_prob(z) - prior.log_prob(z)).mean(0)
    torch.testing.assert_close(prior.kl(q, z), expected, atol=0.02, rtol=0.01)
    one = prior.kl(q, z[0])
    assert one.shape == (2,)
    if prior.exact_kl(q) is not None:
        torch.testing.assert_close(one, prior.kl(q, z))


def test_the_gaussian_of_codes_has_the_density_of_torch() -> None:
    prior = priors()[1]
    assert isinstance(prior, CodeGaussian)
    z = torch.randn(2, 3, 2)
    expected = MultivariateNormal(prior.mean, scale_tril=prior.factor).log_prob(z)
    torch.testing.assert_close(prior.log_prob(z), expected)
    torch.testing.assert_close(prior.stddev**2, (prior.factor @ prior.factor.T).diagonal())


def test_a_mixture_has_the_density_of_torch_in_one_dimension_too() -> None:
    prior = MixturePrior(1, 2)
    prior.log_weights.copy_(torch.tensor([0.25, 0.75]).log())
    prior.means.copy_(torch.tensor([[-1.0], [3.0]]))
    prior.factors.copy_(torch.tensor([[[0.1]], [[2.0]]]))
    z = torch.linspace(-20, 20, 40_001, dtype=torch.float64)
    density = prior.log_prob(z[:, None]).exp()
    assert (density.sum() * (z[1] - z[0])).item() == pytest.approx(1, abs=1e-6)
    expected = MixtureSameFamily(
        Categorical(torch.tensor([0.25, 0.75])),
        Normal(prior.means[:, 0].double(), prior.factors[:, 0, 0].double()),
    )
    torch.testing.assert_close(density, expected.log_prob(z).exp(), atol=1e-6, rtol=1e-6)


def test_a_flow_whose_network_gives_zero_is_its_gaussian() -> None:
    flow = FlowPrior(3, width=8, layers=2)
    flow.initialize(torch.Generator().manual_seed(0))
    codes = CodeGaussian(3)
    codes.fit(torch.randn(50, 3) @ torch.randn(3, 3) + 1)
    flow.mean.copy_(codes.mean)
    flow.factor.copy_(codes.factor)
    noise = torch.randn(20, 3)
    torch.testing.assert_close(flow.sample(noise), codes.sample(noise), atol=5e-3, rtol=0)
    with torch.no_grad():
        flow.write.normal_()
    assert (flow.sample(noise) - codes.sample(noise)).abs().max() > 0.5
    with pytest.raises(UsageError, match="no density"):
        flow.log_prob(noise)


def test_an_unknown_prior_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"'flow' is unknown; choose from .*mixture.*standard"):
        TextVAE.train(["a b"], prior="flow")
    with pytest.raises(ConfigError, match="prior mixture does not apply to model=ae"):
        TextVAE.train(["a b"], prior="mixture", model="ae")
    with pytest.raises(ConfigError, match="committed_rate bounds the KL to the standard prior"):
        TextVAE.train(["a b"], prior="mixture", committed_rate=1.0)


def test_free_bits_of_dimensions_need_a_kl_that_has_them(sentences: list[str]) -> None:
    with pytest.raises(ConfigError, match="set free_bits_mode to total"):
        TextVAE.train(sentences, prior="mixture", max_steps=1)


# a model with the mixture for a prior


@torch.no_grad()
def test_its_likelihood_is_the_integral_over_the_latent() -> None:
    model = random_model("vae", prior="mixture", latent_size=1)
    prior = model.prior
    assert prior is not None
    chunks = chunks_by_length(SENTENCES, model)
    # Wider than prior and posterior, so that the weights are bounded.
    q = DiagonalGaussian(torch.zeros(4, 1).double(), torch.full((4, 1), 2.5).double())
    found = importance_weighted(model, chunks, q, samples=20_000, seed=0)
    z = torch.linspace(-12, 12, 4001)[:, None]  # (N, 1)
    log_prior = prior.log_prob(z.double())
    for row, ids in enumerate(SENTENCES):
        tokens = collate([ids], 2, 0).repeat(len(z))
        joint = model.decoder.log_likelihood(tokens, z).double() + log_prior
        expected = -(joint.logsumexp(0) + math.log(24 / 4000)).item()
        assert found.nll[row].item() == pytest.approx(expected, abs=0.02)


@torch.no_grad()
def test_its_kl_in_the_report_is_the_integral_too() -> None:
    model = random_model("vae", prior="mixture", latent_size=1)
    prior = model.prior
    assert prior is not None
    chunks = chunks_by_length(SENTENCES, model)
    q = posteriors(model, chunks)
    found = importance_weighted(model, chunks, q, samples=4000, seed=0)
    z = torch.linspace(-20, 20, 8001, dtype=torch.float64)[:, None, None]  # (N, 1, 1)
    log_q = q.log_prob(z)  # (N, B)
    integrand = log_q.exp() * (log_q - prior.log_prob(z))
    torch.testing.assert_close(found.kl, integrand.sum(0) * (40 / 8000), atol=0.05, rtol=0.02)


def test_refined_posteriors_raise_its_bound() -> None:
    model = random_model("vae", prior="mixture", latent_size=2)
    chunks = chunks_by_length(SENTENCES, model)
    q = posteriors(model, chunks)
    better = refine(model, chunks, q, steps=10, seed=0)
    before = importance_weighted(model, chunks, q, samples=2000, seed=1)
    after = importance_weighted(model, chunks, better, samples=2000, seed=1)
    assert (after.rec + after.kl).mean() < (before.rec + before.kl).mean() - 0.1


def test_it_trains_saves_loads_samples_and_is_evaluated(
    sentences: list[str], tmp_path: Path
) -> None:
    sizes = {"hidden_size": 16, "embedding_size": 16, "latent_size": 4, "batch_size": 16}
    vae = TextVAE.train(
        sentences,
        out=tmp_path / "run",
        prior="mixture",
        free_bits=0.5,
        free_bits_mode="total",
        max_steps=60,
        device="cpu",
        tokenizer="word",
        **sizes,
    )
    prior = vae.model.prior
    assert isinstance(prior, GaussianMixture)
    fresh = GaussianMixture(4)
    assert not torch.equal(prior.logits, fresh.logits)  # it was trained
    again = TextVAE.from_pretrained(tmp_path / "run", device="cpu")
    assert again.generate(5, seed=1) == vae.generate(5, seed=1)
    assert vae.generate(5, seed=1)[:2] == vae.generate(2, seed=1)
    assert np.isfinite(vae.log_likelihood(sentences[:3], samples=20)).all()


def test_a_setting_that_does_not_fit_a_prior_deletes_no_model(
    sentences: list[str], tmp_path: Path
) -> None:
    small = {"hidden_size": 8, "embedding_size": 8, "latent_size": 2, "device": "cpu"}
    TextVAE.train(sentences, out=tmp_path / "run", max_steps=2, **small)
    before = (tmp_path / "run" / "model.safetensors").read_bytes()
    with pytest.raises(ConfigError, match="set free_bits_mode to total"):
        TextVAE.train(sentences, out=tmp_path / "run", overwrite=True, prior="mixture", **small)
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == before


class Halves(GaussianMixture):
    """Samples of one number, and a count of what it is asked for."""

    count: Tensor

    def __init__(self, latent_size: int) -> None:
        super().__init__(latent_size)
        self.noise_size = 1
        self.register_buffer("count", torch.full((1,), 7, dtype=torch.int64))

    def sample(self, noise: Tensor) -> Tensor:
        return noise.expand(-1, self.latent_size) / 2


register_prior("halves", Halves)


def test_a_prior_of_little_noise_leaves_the_neighbourhood_of_a_sentence_alone(
    tmp_path: Path,
) -> None:
    model = random_word_model("vae", prior="halves", latent_size=4)
    vae = TextVAE(model, word_tokenizer(), Config(data=DataConfig(max_tokens=8)))
    seen: list[Tensor] = []
    start = model.decoder.start
    model.decoder.start = lambda z, n: seen.append(z) or start(z, n)  # type: ignore
    vae.generate(50, near="the cat", seed=1)
    moved = (seen[0] - vae.posterior(["the cat"]).mean) / vae.posterior(["the cat"]).stddev
    assert moved.std(1).min() > 0.05  # each dimension by a number of its own
    assert moved.std().item() == pytest.approx(1, abs=0.15)
    vae.generate(3, seed=1)
    assert (seen[1] == seen[1][:, :1]).all()


def test_a_model_whose_prior_is_not_registered_says_what_to_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_model(tmp_path, random_word_model("vae", prior="halves"), word_tokenizer(), DataConfig())
    monkeypatch.setattr("textvae.config.schema.PRIORS_OF_A_VAE", {"standard"})
    with pytest.raises(TextVAEError, match=r"'halves' is unknown.* imported; the command line"):
        load_model(tmp_path)


def test_whole_numbers_of_a_part_are_saved_too(tmp_path: Path) -> None:
    model = random_word_model("vae", prior="halves", latent_size=4)
    save_model(tmp_path, model, word_tokenizer(), DataConfig(max_tokens=8))
    again = load_model(tmp_path).model
    assert isinstance(again.prior, Halves)
    assert again.prior.count.dtype == torch.int64
    assert again.prior.count.item() == 7


def test_a_prior_that_waits_is_in_the_loss_all_the_same() -> None:
    """A data-parallel wrapper stops at a parameter that has no gradient."""
    model = random_model("vae", prior="mixture", latent_size=2).train()
    loss = TrainingLoss(model, ObjectiveConfig(free_bits=0.0))
    tokens = collate(SENTENCES, 2, 0)
    batch = Batch(tokens, tokens, torch.arange(4), 4, tokens.ids.size(1), np.arange(4))
    noise = StepNoise(0, 0, torch.arange(4), 4, tokens.ids.size(1), torch.device("cpu"))
    loss(batch, noise, None)[0].backward()
    assert model.prior is not None
    assert all((parameter.grad == 0).all() for parameter in model.prior.parameters())
