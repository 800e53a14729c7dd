"""The likelihood is tested where the truth is known: in closed form, or by integration."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from pretrained_networks import causal_network
from random_models import (
    BOS,
    EOS,
    PAD,
    chunks_in_order,
    decoded_positions,
    ignore_latent,
    random_model,
)

from textvae.config import ModelConfig
from textvae.data.batches import Tokens, collate
from textvae.evaluation import likelihood
from textvae.evaluation.likelihood import (
    ImportanceSamples,
    chunks_by_length,
    codes,
    importance_weighted,
    log_likelihoods,
    posterior_sample,
    posteriors,
)
from textvae.gaussian import DiagonalGaussian
from textvae.models.sentence import SentenceModel

Sentence = tuple[int, ...]


def sentences_up_to(length: int, words: int = 3) -> list[Sentence]:
    """All sentences of at most `length` words."""
    alphabet = range(3, 3 + words)
    return [s for n in range(length + 1) for s in itertools.product(alphabet, repeat=n)]


# estimates from weights


def linear_gaussian(dimensions: int, observed: int) -> tuple[torch.Tensor, float]:
    generator = torch.Generator().manual_seed(1)
    loading = torch.randn(observed, dimensions, generator=generator, dtype=torch.float64)
    return torch.linalg.qr(loading).Q * 1.7, 0.3  # orthogonal: the posterior is diagonal


@pytest.mark.parametrize("samples", [1, 2, 50])
def test_exact_posterior_of_linear_gaussian_gives_the_exact_likelihood(samples: int) -> None:
    # x = A z + noise, A^T A = 1.7^2 I; then p(x) = N(0, A A^T + s^2 I), whatever z is drawn.
    loading, s = linear_gaussian(3, 5)
    x = torch.randn(4, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    precision = 1 + 1.7**2 / s**2
    mean = x @ loading / s**2 / precision
    q = DiagonalGaussian(mean, torch.full_like(mean, -math.log(precision)))

    def log_likelihood(z: torch.Tensor) -> torch.Tensor:
        centre = z @ loading.T
        return DiagonalGaussian(centre, torch.full_like(centre, 2 * math.log(s))).log_prob(x)

    noise = torch.randn(samples, 4, 3, dtype=torch.float64)
    drawn = ImportanceSamples.draw(
        q, noise, log_likelihood, DiagonalGaussian(0 * mean, 0 * mean).log_prob
    )
    covariance = loading @ loading.T + s**2 * torch.eye(5, dtype=torch.float64)
    truth = torch.distributions.MultivariateNormal(torch.zeros(5).double(), covariance).log_prob(x)
    torch.testing.assert_close(drawn.nll, -truth, rtol=0, atol=1e-10)
    # With equal weights every sample counts fully.
    full = torch.full((4,), float(samples), dtype=torch.float64)
    torch.testing.assert_close(drawn.effective_sample_size, full)


def test_estimates_are_their_formulas() -> None:
    log_weight = torch.randn(6, 3, dtype=torch.float64) * 2 - 700  # exp underflows to 0
    drawn = ImportanceSamples(log_weight + 1, log_weight)
    for i, row in enumerate(log_weight.T.tolist()):
        w = [math.exp(value + 700) for value in row]
        halves = [-math.log(sum(part) / 3) for part in (w[:3], w[3:])]
        assert drawn.nll[i].item() == pytest.approx(700 - math.log(sum(w) / 6), abs=1e-10)
        assert drawn.nll_half is not None
        assert drawn.nll_half[i].item() == pytest.approx(700 + sum(halves) / 2, abs=1e-10)
        size = sum(w) ** 2 / sum(v * v for v in w)
        assert drawn.effective_sample_size[i].item() == pytest.approx(size, rel=1e-10)
        assert drawn.rec[i].item() == pytest.approx(-sum(row) / 6 - 1, rel=1e-12)
    # Jensen, for any weights: more samples a group, a lower estimate.
    assert (drawn.nll_half >= drawn.nll).all()
    assert (-log_weight.mean(0) >= drawn.nll_half).all()
    assert ImportanceSamples(log_weight[:1], log_weight[:1]).nll_half is None


# a real model against numerical integration

STEP = 1 / 32
GRID = torch.arange(-8, 8 + STEP, STEP)


def integrate(model: SentenceModel, values: torch.Tensor) -> torch.Tensor:
    """The integral of values (G, N) over the prior of a one-dimensional latent, (N,)."""
    weight = model.prior.log_prob(GRID[:, None]).double().exp()
    return STEP * weight @ values.double()


@pytest.fixture(scope="module", params=["own", "pretrained"])
def narrow(request: pytest.FixtureRequest) -> SentenceModel:
    """A VAE with one latent dimension that its decoder follows."""
    if request.param == "own":
        return random_model(latent_size=1, seed=3)
    return model_around_gpt2()


def model_around_gpt2() -> SentenceModel:
    """A VAE around a tiny pretrained decoder, whose soft prefix moves far with z."""
    from textvae.models.pretrained.causal import PretrainedDecoder

    own = random_model(latent_size=1, seed=3)
    config = ModelConfig(decoder="owner/name", latent_size=1, memory_tokens=2)
    network = causal_network("gpt2", 6)
    decoder = PretrainedDecoder(config, own.decoder.vocabulary, 8, 1, None, network)
    random = torch.Generator().manual_seed(0)
    for parameter in decoder.injection.parameters():
        torch.nn.init.normal_(parameter, std=0.7, generator=random)
    parts = {"encoder": own.encoder, "posterior": own.posterior, "prior": own.prior}
    return SentenceModel(config, decoder, **parts).eval()


@torch.no_grad()
def test_probabilities_of_all_sentences_sum_to_one(narrow: SentenceModel) -> None:
    shorter, longest = sentences_up_to(2), list(itertools.product(range(3, 6), repeat=3))
    z = GRID[:, None, None]

    def given(sentences: list[Sentence]) -> Tokens:
        return collate(sentences, EOS, PAD)

    ends = narrow.decoder.log_likelihood(given(shorter), z.expand(-1, len(shorter), -1)).exp()
    # Three words, and then anything: their tokens without the end.
    B = len(longest)
    flat = narrow.decoder.token_log_probs(
        given(longest).repeat(len(GRID)), z.expand(-1, B, -1).reshape(-1, 1)
    )
    goes_on = flat[:, :3].sum(1).exp().view(len(GRID), B)
    total = integrate(narrow, torch.cat([ends, goes_on], dim=1)).sum().item()
    assert total == pytest.approx(1, abs=1e-5)


@torch.no_grad()
def test_importance_sampling_agrees_with_the_integral(narrow: SentenceModel) -> None:
    sentences, K = sentences_up_to(2)[::2], 10_000
    N = len(sentences)
    conditional = narrow.decoder.log_likelihood(
        collate(sentences, EOS, PAD), GRID[:, None, None].expand(-1, N, -1)
    )
    truth = -integrate(narrow, conditional.exp()).log()
    chunks = chunks_by_length(sentences, narrow)
    found = importance_weighted(narrow, chunks, posteriors(narrow, chunks), samples=K, seed=0)
    error = (1 / found.effective_sample_size - 1 / K).clamp(min=0).sqrt()  # of log p, delta method
    assert error.max() < 0.1
    assert ((found.nll - truth).abs() < 4 * error + 1e-4).all()
    # The test can tell: z moves these likelihoods by much more.
    assert (conditional.std(0) > 0.2).all()


def test_more_samples_lower_the_bound_from_the_elbo_on() -> None:
    model = random_model(seed=3)
    sentences = [(), (3,), (4, 5), (5, 3, 3)] * 400  # each time with noise of its own
    chunks = chunks_by_length(sentences, model)
    q = posteriors(model, chunks)
    found = {K: importance_weighted(model, chunks, q, samples=K, seed=K) for K in (1, 2, 4, 8, 64)}
    means = [run.nll.mean().item() for run in found.values()]
    assert means == sorted(means, reverse=True)
    assert means[0] - means[-1] > 0.5

    def agree(a: torch.Tensor, b: torch.Tensor) -> bool:
        error = ((a.var() + b.var()) / len(a)).sqrt()
        return bool((a.mean() - b.mean()).abs() < 3 * error) and bool(error < 0.2)

    def own(column: torch.Tensor) -> torch.Tensor:  # less what the sentence itself is
        return (column - found[64].nll)[sentences.index((3,)) :: 4]

    # In expectation, one sample gives the ELBO, and K/2 what half as many samples give.
    assert agree(own(found[1].nll), own(found[64].rec + q.kl_to_standard_normal().sum(-1)))
    assert found[8].nll_half is not None
    assert agree(own(found[8].nll_half), own(found[4].nll))


# one sentence at a time, and many


def test_decoder_that_ignores_z_has_its_own_likelihood_as_marginal() -> None:
    model = random_model(seed=1)
    ignore_latent(model)
    chunks = chunks_by_length(sentences_up_to(3), model)
    q = posteriors(model, chunks)
    prior = DiagonalGaussian(torch.zeros_like(q.mean), torch.zeros_like(q.mean))
    found = importance_weighted(model, chunks, prior, samples=3, seed=0)
    anywhere = -log_likelihoods(model, chunks, torch.randn(len(q.mean), 2))
    torch.testing.assert_close(found.nll, anywhere, rtol=0, atol=1e-5)


def test_no_value_depends_on_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_model(seed=2)
    sentences = sentences_up_to(3)[::-3]
    sentences = sentences[1::2] + sentences[::2]  # lengths in no order
    results = []
    for logits, batch_size in [(2**22, 256), (2**22, 3), (200, 256)]:
        monkeypatch.setattr(likelihood, "CPU_LOGITS", logits)
        results.append(everything(model, chunks_by_length(sentences, model, batch_size)))
    one_by_one = chunks_in_order(collate([sentence], EOS, PAD) for sentence in sentences)
    for other in (*results[1:], everything(model, one_by_one)):
        for column, reference in zip(other, results[0], strict=True):
            torch.testing.assert_close(column, reference, rtol=0, atol=2e-5)


def everything(model: SentenceModel, chunks: list[likelihood.Chunk]) -> list[torch.Tensor]:
    q = posteriors(model, chunks)
    found = importance_weighted(model, chunks, q, samples=7, seed=5)
    assert found.nll_half is not None
    columns = [q.mean, codes(model, chunks).double(), found.rec, found.nll, found.nll_half]
    return [*columns, log_likelihoods(model, chunks, posterior_sample(q, 5))]


def test_samples_go_on_where_fewer_ended_and_seeds_differ() -> None:
    q = DiagonalGaussian(torch.zeros(5, 3).double(), torch.zeros(5, 3).double())
    places = torch.arange(5)
    whole = likelihood.SentenceNoise(0, places).draw(6, 3)
    pieces = likelihood.SentenceNoise(0, places)
    torch.testing.assert_close(torch.cat([pieces.draw(2, 3), pieces.draw(4, 3)]), whole)
    torch.testing.assert_close(posterior_sample(q, 0), whole[0])
    some = likelihood.SentenceNoise(0, torch.tensor([3, 1])).draw(6, 3)
    torch.testing.assert_close(some, whole[:, [3, 1]])
    assert len(torch.cat([whole, likelihood.SentenceNoise(1, places).draw(6, 3)]).unique()) == 180


@pytest.mark.parametrize("kind", ["vae", "ae", "lm"])
def test_likelihood_of_each_sentence_is_the_sum_over_its_steps(kind: str) -> None:
    model = random_model(kind, seed=4)
    sentences = sentences_up_to(3)[::5]
    chunks = chunks_by_length(sentences, model)
    z = codes(model, chunks) if kind != "lm" else None
    found = log_likelihoods(model, chunks, z)
    with torch.inference_mode():
        for i, sentence in enumerate(sentences):
            state = model.decoder.start(None if z is None else z[i : i + 1], 1)
            total, previous = 0.0, BOS
            for token in (*sentence, EOS):
                logits, state = model.decoder.step(torch.tensor([previous]), state)
                total += logits[0].double().log_softmax(0)[token].item()
                previous = token
            assert found[i].item() == pytest.approx(total, abs=1e-5)


def test_memory_of_a_decoder_call_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_model(seed=0)
    sizes = decoded_positions(model, monkeypatch)
    monkeypatch.setattr(likelihood, "CPU_LOGITS", 32 * 20)  # 20 tokens a call
    chunks = chunks_by_length(sentences_up_to(2), model)
    found = importance_weighted(model, chunks, posteriors(model, chunks), samples=30, seed=0)
    assert max(sizes) <= 20
    assert sum(sizes) >= 30 * 3 * 9
    assert found.nll.isfinite().all()


def test_a_large_vocabulary_does_not_make_a_call_of_samples_small(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The logits are computed in parts, so only the layers below them limit the call."""
    model = random_model(words=500)
    monkeypatch.setattr(likelihood, "CPU_LOGITS", 32 * 24)  # 4 * hidden * tokens
    sizes = decoded_positions(model, monkeypatch)
    chunks = chunks_by_length([(3,) * 5, (4,)], model)
    found = importance_weighted(model, chunks, posteriors(model, chunks), samples=12, seed=0)
    assert max(sizes) == 24
    monkeypatch.setattr(likelihood, "CPU_LOGITS", 1)  # one sample a call
    alone = importance_weighted(model, chunks, posteriors(model, chunks), samples=12, seed=0)
    torch.testing.assert_close(found.nll, alone.nll, rtol=1e-6, atol=0)


def test_samples_of_a_few_sentences_need_no_padding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call holds samples of one sentence where those fill it."""
    model = random_model()
    sizes = decoded_positions(model, monkeypatch)
    monkeypatch.setattr(likelihood, "CPU_LOGITS", 32 * 24)  # 24 tokens a call
    sentences = [(3,) * 5, (4,), (5,) * 3]  # 6, 2 and 4 tokens with the end
    chunks = chunks_by_length(sentences, model)
    samples = 12
    found = importance_weighted(model, chunks, posteriors(model, chunks), samples=samples, seed=0)
    assert sum(sizes) == samples * (6 + 2 + 4)
    assert max(sizes) == 24
    alone = []
    for i, sentence in enumerate(sentences):
        chunk = chunks_by_length([sentence], model)
        q = posteriors(model, chunk)
        alone.append(importance_weighted(model, chunk, q, samples=samples, seed=0, first=i).nll)
    torch.testing.assert_close(found.nll, torch.cat(alone), rtol=0, atol=1e-5)


def test_training_mode_comes_back() -> None:
    model = random_model("lm").train()
    log_likelihoods(model, chunks_by_length([(3,)], model), None)
    assert model.training
    long = chunks_in_order([collate([(99,)], EOS, PAD)])  # no such token
    with pytest.raises(IndexError):
        log_likelihoods(model, long, None)
    assert model.training
