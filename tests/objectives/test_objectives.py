"""Training losses: the bound, free bits, and a batch shared by processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from random_models import EOS, PAD, random_model
from torch import Tensor

from textvae.config import ObjectiveConfig
from textvae.data.batches import Batch, collate
from textvae.objectives.free_bits import free_bits_kl
from textvae.objectives.training_loss import TrainingLoss
from textvae.randomness.noise import StepNoise

SENTENCES = [[3, 4, 5, 4], [5], [4, 4, 3, 5, 3, 3], [3], [3, 5]]
DROPOUTS = {
    "embedding_dropout": 0.3,
    "variational_dropout": 0.3,
    "output_dropout": 0.3,
    "word_dropout": 0.3,
}
NOISE = {"noise_drop": 0.2, "noise_blank": 0.2, "noise_substitute": 0.2, "noise_shuffle": 2.0}


def batch_of(rank: int = 0, world_size: int = 1) -> Batch:
    """A process's share of the sentences."""
    tokens = collate(SENTENCES[rank::world_size], EOS, PAD)
    return Batch(
        source=tokens,
        target=tokens,
        places=torch.arange(rank, len(SENTENCES), world_size),
        total=len(SENTENCES),
        longest=7,
        indices=np.arange(rank, len(SENTENCES), world_size),
    )


def noise_for(batch: Batch) -> StepNoise:
    return StepNoise(0, 0, batch.places, batch.total, batch.longest, torch.device("cpu"))


def objective(mode: str = "dimension", floor: float = 0.0) -> ObjectiveConfig:
    return ObjectiveConfig(free_bits=floor, free_bits_mode=mode)  # type: ignore[arg-type]


# the loss is the bound


def test_the_loss_of_a_vae_is_minus_its_bound() -> None:
    model, batch = random_model("vae"), batch_of()
    loss, sums = TrainingLoss(model, objective())(batch, noise_for(batch), 1.0)
    q = model.infer(batch.source)
    z = q.sample(noise_for(batch).normal(model.latent_size))
    bound = model.decoder.log_likelihood(batch.target, z) - q.kl_to_standard_normal().sum(-1)
    torch.testing.assert_close(loss, -bound.mean())
    torch.testing.assert_close(sums["kl"], q.kl_to_standard_normal().sum(-1).sum())
    torch.testing.assert_close(sums["rec"] + sums["kl"], -bound.sum())


@pytest.mark.parametrize("weight", [0.0, 0.3, 2.0])
def test_the_weight_is_that_of_the_kl_alone_and_sums_know_none(weight: float) -> None:
    model, batch = random_model("vae"), batch_of()
    loss, sums = TrainingLoss(model, objective())(batch, noise_for(batch), weight)
    _, unweighted = TrainingLoss(model, objective("total", 9.0))(batch, noise_for(batch), 1.0)
    torch.testing.assert_close(loss, (sums["rec"] + weight * sums["kl"]) / len(SENTENCES))
    assert sums == unweighted


def test_the_loss_of_an_autoencoder_is_that_of_its_codes_and_of_an_lm_the_exact_one() -> None:
    batch = batch_of()
    ae, lm = random_model("ae"), random_model("lm")
    for model, z in ((ae, ae.code(batch.source)), (lm, None)):
        loss, sums = TrainingLoss(model, objective())(batch, noise_for(batch), 1.0)
        expected = -model.decoder.log_likelihood(batch.target, z)
        torch.testing.assert_close(loss, expected.mean())
        assert set(sums) == {"rec"}
        torch.testing.assert_close(sums["rec"], expected.sum())


# noise for the encoder


@pytest.mark.parametrize("kind", ["vae", "ae"])
def test_the_encoder_reads_noise_and_the_decoder_is_asked_for_the_clean_sentence(
    kind: str,
) -> None:
    """With nothing left but one token of each, and that a blank."""
    model, batch = random_model(kind), batch_of()
    noisy = ObjectiveConfig(free_bits=0.0, noise_drop=1.0, noise_blank=1.0)
    loss, sums = TrainingLoss(model, noisy)(batch, noise_for(batch), 1.0)
    blank = collate([[PAD]] * len(SENTENCES), EOS, PAD)
    noise = noise_for(batch)
    for _ in ("drop", "blank"):  # one draw each, before that of the sample
        noise.uniform_over_time(7)
    if kind == "ae":
        rec = -model.decoder.log_likelihood(batch.target, model.code(blank))
        torch.testing.assert_close(loss, rec.mean())
        return
    q = model.infer(blank)
    rec = -model.decoder.log_likelihood(batch.target, q.sample(noise.normal(model.latent_size)))
    torch.testing.assert_close(loss, (rec + q.kl_to_standard_normal().sum(-1)).mean())
    torch.testing.assert_close(sums["kl"], q.kl_to_standard_normal().sum(-1).sum())


def test_substitutes_are_the_tokens_that_are_given() -> None:
    model, batch = random_model("ae", words=9), batch_of()
    rate = ObjectiveConfig(noise_substitute=1.0)
    training_loss = TrainingLoss(model, rate, ordinary_ids=[11])
    loss, _ = training_loss(batch, noise_for(batch), 1.0)
    strange = collate([[11] * len(sentence) for sentence in SENTENCES], EOS, PAD)
    expected = -model.decoder.log_likelihood(batch.target, model.code(strange)).mean()
    torch.testing.assert_close(loss, expected)


# free bits


def slow_free_bits(kl: list[list[float]], floor: float, mode: str) -> float:
    """The penalty of a batch, summed over sentences."""
    if mode == "dimension":
        return sum(max(floor, value) for row in kl for value in row)
    if mode == "total":
        return sum(max(floor, sum(row)) for row in kl)
    columns = [[row[d] for row in kl] for d in range(len(kl[0]))]
    return sum(len(kl) * max(floor, sum(column) / len(column)) for column in columns)


@pytest.mark.parametrize("mode", ["dimension", "total", "batch"])
@pytest.mark.parametrize("floor", [0.0, 0.5, 2.0])
def test_free_bits_are_what_loops_give(mode: Any, floor: float) -> None:
    kl = torch.rand(6, 4, generator=torch.Generator().manual_seed(0)) * torch.tensor([0.1, 1, 1, 5])
    found = free_bits_kl(kl, floor, mode, total=6).sum().item()
    assert found == pytest.approx(slow_free_bits(kl.tolist(), floor, mode))


def test_only_what_exceeds_the_floor_is_pulled() -> None:
    kl = torch.tensor([[0.1, 3.0], [0.3, 0.2]])

    def pull(mode: Any, floor: float) -> list[list[float]]:
        leaf = kl.clone().requires_grad_()
        free_bits_kl(leaf, floor, mode, total=2).sum().backward()
        assert leaf.grad is not None
        return leaf.grad.tolist()

    assert pull("dimension", 0.25) == [[0, 1], [1, 0]]
    assert pull("total", 0.6) == [[1, 1], [0, 0]]
    assert pull("batch", 0.25) == [[0, 1], [0, 1]]  # means 0.2 and 1.6
    assert pull("batch", 0.0) == [[1, 1], [1, 1]]


def test_a_floor_under_all_kl_changes_nothing() -> None:
    kl = 1 + torch.rand(6, 4)
    for mode in ("dimension", "total", "batch"):
        assert (free_bits_kl(kl, 0.5, mode, total=6) == kl.sum(1)).all()


# several processes


class SumOverTwo:
    """Adds up what two processes hold, as they would: each calls once, then each gets the sum."""

    def __init__(self) -> None:
        self.held: list[Tensor] = []

    def collect(self, mine: Tensor) -> Tensor:
        self.held.append(mine)
        return mine

    def total(self, mine: Tensor) -> Tensor:
        assert any(torch.equal(mine, held) for held in self.held)
        return torch.stack(self.held).sum(0)


@pytest.mark.parametrize("mode", ["dimension", "total", "batch"])
@pytest.mark.parametrize("kind", ["vae", "ae", "lm"])
def test_losses_and_gradients_of_two_processes_add_up_to_those_of_one(kind: str, mode: str) -> None:
    """With every dropout and noise on, and the longest sentence in one of the two shares."""
    noise = {} if kind == "lm" else NOISE
    two_processes_add_up_to_one(kind, objective(mode, 0.9).model_copy(update=noise))


@pytest.mark.parametrize(
    "terms",
    [{"importance_samples": 3}, {"bag_of_words_weight": 0.5}, {"adversarial_weight": 0.5}],
)
def test_other_terms_of_two_processes_add_up_to_those_of_one(terms: dict[str, Any]) -> None:
    two_processes_add_up_to_one("vae", ObjectiveConfig(free_bits=0, **terms))


def two_processes_add_up_to_one(kind: str, objective: ObjectiveConfig) -> None:
    model = random_model(kind, decoder="transformer", **DROPOUTS).train()

    def step(batch: Batch, reduce: Callable[[Tensor], Tensor]) -> tuple[Tensor, ...]:
        torch.manual_seed(0)  # of what the loss has of its own
        training_loss = TrainingLoss(model, objective, reduce)
        loss, sums = training_loss(batch, noise_for(batch), 0.7)
        weights = list(training_loss.parameters())
        gradients = torch.autograd.grad(loss, weights, materialize_grads=True)
        return (loss.detach(), *(sums[key] for key in sorted(sums)), *gradients)

    whole = step(batch_of(), lambda x: x)
    shares = [batch_of(rank, 2) for rank in range(2)]
    assert shares[0].target.ids.size(1) != shares[1].target.ids.size(1)
    both = SumOverTwo()
    for share in shares:
        step(share, both.collect)
    first, second = (step(share, both.total) for share in shares)
    for expected, one, other in zip(whole, first, second, strict=True):
        torch.testing.assert_close(one + other, expected, rtol=1e-4, atol=1e-5)


def test_free_bits_of_a_batch_need_the_sum_over_processes() -> None:
    """A dimension under the floor in one share and above it in the other is one dimension."""
    kl = torch.tensor([[0.0], [3.0]])
    shares = [
        free_bits_kl(row[None], 1.0, "batch", total=2, sum_over_processes=lambda _: kl.sum(0))
        for row in kl
    ]
    assert torch.cat(shares).tolist() == free_bits_kl(kl, 1.0, "batch", total=2).tolist()
    assert torch.cat(shares).sum() == 3.0
