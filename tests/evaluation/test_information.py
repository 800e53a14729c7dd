"""Information in the latent, where it is known: separated, equal and overlapping posteriors."""

from __future__ import annotations

import math

import pytest
import torch
from random_models import EOS, PAD, chunks_in_order, ignore_latent, random_model

from textvae.data.batches import collate
from textvae.evaluation.information import (
    MI_BATCH,
    active_units,
    derangement,
    mi_sentences,
    mutual_information,
)
from textvae.evaluation.likelihood import Chunk, codes, posterior_sample, posteriors
from textvae.evaluation.monitor import monitor
from textvae.gaussian import DiagonalGaussian
from textvae.models.sentence import SentenceModel


def gaussians(means: list[float], stddev: float = 1.0) -> DiagonalGaussian:
    """One-dimensional posteriors of equal width."""
    mean = torch.tensor(means, dtype=torch.float64)[:, None]
    return DiagonalGaussian(mean, torch.full_like(mean, 2 * math.log(stddev)))


def draw(q: DiagonalGaussian, seed: int = 0) -> torch.Tensor:
    """One sample a posterior."""
    generator = torch.Generator().manual_seed(seed)
    return q.sample(torch.randn(q.mean.shape, generator=generator, dtype=torch.float64))


@pytest.mark.parametrize("count", [1, 2, 37, 300])
def test_separated_posteriors_tell_everything_and_equal_ones_nothing(count: int) -> None:
    apart = gaussians([100.0 * i for i in range(count)])
    torch.testing.assert_close(
        mutual_information(apart, draw(apart)), torch.full((count,), math.log(count)).double()
    )
    same = gaussians([0.7] * count, stddev=0.2)
    torch.testing.assert_close(mutual_information(same, draw(same)), torch.zeros(count).double())


def test_two_overlapping_posteriors_have_the_integrated_information() -> None:
    q = gaussians([-0.8, 0.8], stddev=0.9)
    grid = torch.linspace(-9, 9, 4001, dtype=torch.float64)
    densities = q.log_prob(grid[:, None, None]).exp()  # (G, 2)
    mixture = densities.mean(1, keepdim=True)
    integrand = (densities * (densities / mixture).log()).mean(1)
    truth = torch.trapezoid(integrand, grid).item()
    estimates = torch.stack([mutual_information(q, draw(q, seed)) for seed in range(4000)]).mean(1)
    error = estimates.std().item() / len(estimates) ** 0.5
    assert 0.1 < truth < math.log(2)
    assert estimates.mean().item() == pytest.approx(truth, abs=4 * error)


def test_information_is_its_double_loop_however_many_rows_are_held_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    generator = torch.Generator().manual_seed(0)
    mean, log_variance = torch.randn(2, 41, 3, generator=generator, dtype=torch.float64)
    q = DiagonalGaussian(mean, log_variance)
    z = draw(q, 1)

    def log_density(i: int, j: int) -> float:
        return sum(
            -0.5 * ((z[i, d] - mean[j, d]) ** 2 / v + math.log(2 * math.pi * v)).item()
            for d, v in enumerate(log_variance[j].exp().tolist())
        )

    slow = [
        log_density(i, i) - math.log(sum(math.exp(log_density(i, j)) for j in range(41)) / 41)
        for i in range(41)
    ]
    for pairs in (1, 100, 10**6):
        monkeypatch.setattr("textvae.evaluation.information._PAIRS_AT_ONCE", pairs)
        torch.testing.assert_close(mutual_information(q, z), torch.tensor(slow).double())
    assert max(slow) <= math.log(41)


def test_large_sets_are_represented_by_a_fixed_random_part() -> None:
    assert mi_sentences(MI_BATCH, 0).tolist() == list(range(MI_BATCH))
    part = mi_sentences(10 * MI_BATCH, 0)
    assert len(part.unique()) == MI_BATCH
    assert part.max() > 9 * MI_BATCH  # not the head of a sorted file
    assert torch.equal(part, mi_sentences(10 * MI_BATCH, 0))
    assert not torch.equal(part, mi_sentences(10 * MI_BATCH, 1))


def test_active_units_have_a_moving_mean() -> None:
    # Means +-a in equal numbers have the variance a^2; a constant has none, however large.
    signs = torch.tensor([1.0, -1.0] * 50)[:, None]
    means = signs * torch.tensor([0.0, 0.0995, 0.1005, 3.0]) + torch.tensor([9.0, 0.0, 5.0, -2.0])
    assert active_units(means) == 2
    assert active_units(means[:1]) == 0


@pytest.mark.parametrize("n", [*range(2, 40), 1000])
def test_derangement_moves_every_sentence(n: int) -> None:
    for seed in range(5):
        other = derangement(n, seed)
        assert sorted(other.tolist()) == list(range(n))
        assert (other != torch.arange(n)).all()
        assert torch.equal(other, derangement(n, seed))


def test_one_sentence_has_no_derangement() -> None:
    with pytest.raises(ValueError, match="1 elements"):
        derangement(1, 0)


# the monitor of training, on real models

SENTENCES = [(3,), (4, 4), (5, 3, 4), (3, 3), (5,), (4, 5, 5), (3, 5)]


def chunks() -> list[Chunk]:
    """The sentences in two batches."""
    return chunks_in_order(collate(part, EOS, PAD) for part in (SENTENCES[:4], SENTENCES[4:]))


def copier(seed: int = 0) -> SentenceModel:
    """A VAE whose every token has logits (z, -z, 0, 0): of two words, the third and the end."""
    model = random_model(latent_size=1, hidden_size=1, tie_weights=False, seed=seed)
    with torch.no_grad():
        for parameter in (*model.decoder.network.parameters(), *model.decoder.output.parameters()):
            parameter.zero_()
        # A closed update gate keeps the first state, tanh(z / 100), for ever.
        model.decoder.network.rnn.bias_ih_l0[1] = 50.0
        model.decoder.network.first_state.weight.fill_(0.01)
        model.decoder.output.weight[3], model.decoder.output.weight[4] = 100.0, -100.0
    return model


def closed_form(sentence: tuple[int, ...], z: float) -> float:
    """log p(x|z) of the copier."""
    h = 100 * math.tanh(z / 100)
    logits = {3: h, 4: -h, 5: 0.0, EOS: 0.0}
    total = math.log(sum(map(math.exp, logits.values())))
    return sum(logits[token] - total for token in (*sentence, EOS))


def test_monitor_of_a_decoder_known_in_closed_form() -> None:
    model = copier().train()
    figures = monitor(model, chunks(), seed=3)
    q = posteriors(model, chunks())
    z = posterior_sample(q, 3)[:, 0].tolist()
    other = derangement(7, 3).tolist()
    own = [closed_form(sentence, z[i]) for i, sentence in enumerate(SENTENCES)]
    swapped = [closed_form(sentence, z[other[i]]) for i, sentence in enumerate(SENTENCES)]
    assert figures["rec"] == pytest.approx(-sum(own) / 7, abs=1e-5)
    assert figures["z_gain"] == pytest.approx((sum(own) - sum(swapped)) / 7, abs=1e-5)
    assert abs(figures["z_gain"]) > 0.05
    kl = sum(
        (m * m + v - 1 - math.log(v)) / 2
        for m, v in zip(q.mean[:, 0].tolist(), q.log_variance[:, 0].exp().tolist(), strict=True)
    )
    assert figures["kl"] == pytest.approx(kl / 7, rel=1e-6)
    assert figures["nll_elbo"] == pytest.approx(figures["rec"] + figures["kl"])
    assert figures["mi"] == pytest.approx(mutual_information(q, posterior_sample(q, 3)).mean())
    assert figures["active_units"] == int(q.mean.var(0, correction=0).item() > 0.01)
    assert model.training


def test_decoder_that_ignores_z_gains_nothing_whatever_the_posterior_knows() -> None:
    model = random_model(seed=0)
    assert abs(monitor(model, chunks(), seed=0)["z_gain"]) > 0.01
    ignore_latent(model)
    figures = monitor(model, chunks(), seed=0)
    assert figures["z_gain"] == 0.0
    assert figures["mi"] > 0.1  # which is why collapse is not judged by it alone


def test_monitor_of_the_baselines() -> None:
    ae = random_model("ae", seed=0)
    z = codes(ae, chunks())
    figures = monitor(ae, chunks(), seed=0)
    with torch.inference_mode():
        whole = collate(SENTENCES, EOS, PAD)
        own, swapped = (
            ae.decoder.log_likelihood(whole, part) for part in (z, z[derangement(7, 0)])
        )
    assert figures.keys() == {"rec", "z_gain"}
    assert figures["rec"] == pytest.approx(-own.mean().item(), rel=1e-5)
    assert figures["z_gain"] == pytest.approx((own - swapped).mean().item(), rel=1e-4)

    lm = random_model("lm", seed=0)
    with torch.inference_mode():
        exact = -lm.decoder.log_likelihood(whole, None).mean().item()
    assert monitor(lm, chunks(), seed=0) == {"nll_iw": pytest.approx(exact, rel=1e-5)}


def test_monitor_of_one_sentence_has_no_z_gain() -> None:
    figures = monitor(random_model(), chunks_in_order([collate([(3,)], EOS, PAD)]), seed=0)
    assert "z_gain" not in figures
    assert figures["mi"] == 0.0
    assert figures["active_units"] == 0
