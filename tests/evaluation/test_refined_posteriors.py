"""Refined posteriors against the best ones that exist, found by integration and in closed form."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from random_models import (
    EOS,
    PAD,
    decoded_positions,
    ignore_latent,
    random_model,
    random_word_model,
    word_tokenizer,
)

from textvae.data.batches import collate
from textvae.data.rows import Row
from textvae.errors import UsageError
from textvae.evaluation import likelihood
from textvae.evaluation.likelihood import chunks_by_length, posteriors
from textvae.evaluation.refined_posteriors import _Climb, balanced_noise, refine
from textvae.evaluation.report import evaluate
from textvae.gaussian import DiagonalGaussian
from textvae.models.sentence import SentenceModel

SENTENCES = [(3,), (4, 5), (5, 3, 3), (), (4, 4, 4, 3), (3, 5)]
GRID = torch.linspace(-6, 6, 61, dtype=torch.float64)  # of the standard normal noise


@torch.no_grad()
def integrated_elbo(model: SentenceModel, q: DiagonalGaussian) -> torch.Tensor:
    """The ELBO of one-dimensional posteriors (N, 1) by integration over the noise, (N,)."""
    weight = torch.exp(-0.5 * GRID**2)
    z = q.sample(GRID[:, None, None].expand(-1, len(q.mean), 1))  # (G, N, 1)
    values = model.decoder.log_likelihood(collate(SENTENCES, EOS, PAD), z.float()).double()
    return (weight / weight.sum()) @ values - q.kl_to_standard_normal().sum(-1)


def test_steps_lead_to_the_best_gaussian_there_is() -> None:
    model = random_model(latent_size=1, seed=3)
    chunks = chunks_by_length(SENTENCES, model)
    q = posteriors(model, chunks)
    found = refine(model, chunks, q, steps=15, seed=0, samples=64)
    # The best mean and width of each sentence, by search.
    best = torch.full((len(SENTENCES),), -math.inf, dtype=torch.float64)
    for mean, log_variance in itertools.product(
        torch.linspace(-3, 3, 19).tolist(), torch.linspace(-1.8, 0.2, 6).tolist()
    ):
        filled = torch.full((len(SENTENCES), 1), 1.0, dtype=torch.float64)
        candidate = DiagonalGaussian(mean * filled, log_variance * filled)
        best = torch.maximum(best, integrated_elbo(model, candidate))
    reached, started = integrated_elbo(model, found), integrated_elbo(model, q)
    assert (reached > best - 0.02).all()
    assert (best - started).max() > 0.3  # the encoder was not there


def test_a_step_that_goes_too_far_is_taken_back_and_the_next_one_is_shorter() -> None:
    model = random_model(seed=3)
    (chunk,) = chunks_by_length(SENTENCES, model)
    climb = _Climb(model, chunk, posteriors(model, [chunk])[chunk.places], 0, 16)
    climb._rate.fill_(40.0)  # far beyond where the bound is anything like linear
    before, bound, started = climb.q.mean.clone(), climb._bound.clone(), climb._rate.clone()
    climb.step()
    taken_back = (climb.q.mean == before).all(1)
    assert taken_back.any()
    assert (climb._bound >= bound).all()
    assert torch.equal(climb._rate[taken_back], started[taken_back] / 2)
    again, _ = climb._evaluated(climb.q)
    torch.testing.assert_close(again, climb._bound)  # what is kept is the bound of what is kept


def test_posteriors_of_a_decoder_that_ignores_z_become_the_prior() -> None:
    model = random_word_model(seed=1)
    ignore_latent(model)
    rows = [Row(text) for text in ("the cat", "soup .", "dog sees the cat")]
    report = evaluate(model, word_tokenizer(), rows, samples=3, refine_steps=15)
    assert report["kl"] > 0.3
    assert report["kl_refined"] == pytest.approx(0, abs=1e-6)
    assert report["rec_refined"] == pytest.approx(report["rec"], abs=1e-5)
    # All of the divergence was the encoder's own mistake.
    assert report["amortization_gap"] == pytest.approx(report["kl"], abs=1e-5)
    assert report["nll_iw_refined"] == pytest.approx(report["rec"], abs=1e-5)


@pytest.mark.parametrize("decoder", ["lstm", "transformer"])
def test_gap_is_the_difference_of_the_bounds(decoder: str) -> None:
    model = random_word_model(seed=5, decoder=decoder, heads=2)
    rows = [Row(text) for text in ("the cat", "soup .", "dog sees the cat", "the", "cat")]
    tokenizer = word_tokenizer()
    plain = evaluate(model, tokenizer, rows, samples=20)
    report = evaluate(model, tokenizer, rows, samples=20, refine_steps=5, per_sentence=True)
    assert {key: report[key] for key in plain} == plain
    assert report["refine_steps"] == 5
    assert report["nll_elbo_refined"] == pytest.approx(report["rec_refined"] + report["kl_refined"])
    gaps = [row["nll_elbo"] - row["nll_elbo_refined"] for row in report["sentences"]]
    assert [row["amortization_gap"] for row in report["sentences"]] == pytest.approx(gaps)
    assert report["amortization_gap"] == pytest.approx(sum(gaps) / 5)
    assert report["amortization_gap"] > 4 * report["amortization_gap_se"] > 0 or min(gaps) > 0
    iw = [row["nll_iw_refined"] for row in report["sentences"]]
    assert report["nll_iw_refined"] == pytest.approx(sum(iw) / 5)


def test_no_sentence_depends_on_its_batch_and_no_weight_on_its_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = random_model(seed=2).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    results = []
    for logits, batch_size in [(2**22, 256), (2**22, 2), (800, 256)]:
        monkeypatch.setattr(likelihood, "CPU_LOGITS", logits)
        chunks = chunks_by_length(SENTENCES, model, batch_size)
        q = posteriors(model, chunks)
        results.append(refine(model, chunks, q, steps=3, seed=4, samples=6))
    for other in results[1:]:
        torch.testing.assert_close(other.mean, results[0].mean, rtol=0, atol=1e-4)
        torch.testing.assert_close(other.log_variance, results[0].log_variance, rtol=0, atol=1e-4)
    assert model.training
    assert all(weight.requires_grad and weight.grad is None for weight in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_memory_of_a_call_with_its_gradient_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_model(seed=0)
    sizes = decoded_positions(model, monkeypatch)
    monkeypatch.setattr(likelihood, "CPU_LOGITS", 32 * 80)  # 80 tokens a call, 20 with gradients
    chunks = chunks_by_length(SENTENCES, model, 4)
    refine(model, chunks, posteriors(model, chunks), steps=1, seed=0)
    assert max(sizes) <= 20
    assert sum(sizes) >= 2 * 32 * sum(len(sentence) + 1 for sentence in SENTENCES)


def test_noise_of_the_steps_has_the_moments_of_the_normal_exactly() -> None:
    places = torch.arange(3)
    noise = balanced_noise(0, places, 7, 4)
    assert noise.shape == (8, 3, 4)
    torch.testing.assert_close(noise.mean(0), torch.zeros(3, 4).double())
    torch.testing.assert_close(noise.square().mean(0), torch.ones(3, 4).double())
    torch.testing.assert_close(balanced_noise(0, places[2:], 7, 4), noise[:, 2:])
    # Not the noise with which the result is judged.
    judged = likelihood.SentenceNoise(0, places).draw(4, 4)
    assert torch.corrcoef(torch.stack([judged.flatten(), noise[:4].flatten()]))[0, 1].abs() < 0.5


def test_progress_and_refusals() -> None:
    seen: list[tuple[int, int]] = []
    model = random_model()
    chunks = chunks_by_length(SENTENCES, model, 4)
    refine(
        model,
        chunks,
        posteriors(model, chunks),
        steps=3,
        seed=0,
        progress=lambda phase, done, total: seen.append((done, total)),
    )
    assert seen[-1] == (18, 18)
    assert seen == sorted(seen)
    for kind in ("ae", "lm"):
        with pytest.raises(UsageError, match="no posterior to refine"):
            evaluate(random_word_model(kind), word_tokenizer(), [Row("the")], refine_steps=2)
    with pytest.raises(UsageError, match="refine=-1"):
        evaluate(random_word_model(), word_tokenizer(), [Row("the")], refine_steps=-1)
