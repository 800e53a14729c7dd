"""A sentence meets the same noise however the batch is shared, and dropout keeps expectations."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from textvae.models.dropout import drop_words, dropout
from textvae.randomness.noise import StepNoise
from textvae.randomness.seeds import derived_seed

TOTAL, LONGEST = 7, 6


def noise_of(places: Tensor | None = None, *, seed: int = 3, step: int = 5) -> StepNoise:
    every = torch.arange(TOTAL)
    where = every if places is None else places
    return StepNoise(seed, step, where, TOTAL, LONGEST, torch.device("cpu"))


def draws(noise: StepNoise, steps: int) -> dict[str, Tensor]:
    """Each kind of draw, as one training step mixes them."""
    return {
        "normal": noise.normal(4),
        "uniform": noise.uniform(2, 3),
        "over time": noise.uniform_over_time(steps),
        "states over time": noise.uniform_over_time(steps, 3),
        "normal again": noise.normal(4),
    }


@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_draws_its_rows_of_the_global_noise_whatever_its_padding(rank: int) -> None:
    places = torch.arange(rank, TOTAL, 2)
    steps = 4  # the longest sentence is in another process
    whole = draws(noise_of(), LONGEST)
    share = draws(noise_of(places), steps)
    for kind, expected in whole.items():
        expected = expected[places]
        if "time" in kind:
            expected = expected[:, :steps]
        assert (share[kind] == expected).all(), kind


def test_noise_is_a_function_of_seed_and_step() -> None:
    first = noise_of().normal(4)
    assert (noise_of().normal(4) == first).all()
    for other in (noise_of(step=6), noise_of(seed=4), noise_of(seed=5, step=3)):
        assert not (other.normal(4) == first).any()


def test_draws_of_a_step_differ_from_each_other() -> None:
    noise = noise_of()
    assert not (noise.normal(4) == noise.normal(4)).any()


def test_seeds_are_far_apart_and_fit_a_generator() -> None:
    seeds = {derived_seed(seed, "step", step) for seed in range(50) for step in range(50)}
    assert len(seeds) == 2500
    assert derived_seed(1, 11) != derived_seed(11, 1)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_a_mean_of_the_batch_is_that_over_all_processes() -> None:
    x = torch.randn(TOTAL, 3)
    shares = [torch.arange(rank, TOTAL, 2) for rank in range(2)]
    for places, others in (shares, shares[::-1]):
        there = x[others].sum(0)
        noise = StepNoise(3, 5, places, TOTAL, LONGEST, x.device, lambda here, t=there: here + t)
        torch.testing.assert_close(noise.batch_mean(x[places]), x.mean(0))
    torch.testing.assert_close(noise_of().batch_mean(x), x.mean(0))


# dropout


def big_noise(total: int = 400, longest: int = 50) -> StepNoise:
    return StepNoise(0, 0, torch.arange(total), total, longest, torch.device("cpu"))


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_dropout_keeps_the_expectation_and_drops_its_share(rate: float, shared: bool) -> None:
    x = torch.ones(400, 50, 20)
    dropped = dropout(x, rate, big_noise(), shared=shared)
    kept = dropped[dropped != 0]
    torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - rate)))
    independent = 400 * 20 * (1 if shared else 50)
    error = 5 * (rate * (1 - rate) / independent) ** 0.5
    assert (dropped == 0).float().mean().item() == pytest.approx(rate, abs=error)


def test_variational_dropout_has_one_mask_a_sentence_and_other_masks_for_others() -> None:
    dropped = dropout(torch.ones(20, 6, 30), 0.5, big_noise(20, 6), shared=True)
    assert (dropped == dropped[:, :1]).all()
    assert len(torch.unique(dropped[:, 0], dim=0)) == 20
    each = dropout(torch.ones(20, 6, 30), 0.5, big_noise(20, 6))
    assert len(torch.unique(each.reshape(-1, 30), dim=0)) == 120


def test_dropped_gradients_are_the_dropped_values() -> None:
    x = torch.randn(5, 4, 3, requires_grad=True)
    dropped = dropout(x, 0.5, big_noise(5, 4))
    dropped.sum().backward()
    torch.testing.assert_close(x.grad * x, dropped)


def test_word_dropout_blanks_its_share_of_all_but_the_first_token() -> None:
    ids = torch.randint(3, 30, (400, 50))
    dropped = drop_words(ids, 0.3, 0, big_noise())
    assert (dropped[:, 0] == ids[:, 0]).all()
    blank = dropped == 0
    assert (dropped == torch.where(blank, 0, ids)).all()
    share = blank[:, 1:].float().mean(0)  # at each position
    assert share.mean().item() == pytest.approx(0.3, abs=5 * (0.21 / (400 * 49)) ** 0.5)
    assert (share - 0.3).abs().max().item() < 5 * (0.21 / 400) ** 0.5


def test_without_noise_or_rate_nothing_is_dropped() -> None:
    x, ids = torch.randn(5, 4, 3), torch.randint(3, 9, (5, 4))
    assert dropout(x, 0.5, None) is x
    assert drop_words(ids, 0.5, 0, None) is ids
    assert dropout(x, 0.0, big_noise(5, 4)) is x
    assert drop_words(ids, 0.0, 0, big_noise(5, 4)) is ids
