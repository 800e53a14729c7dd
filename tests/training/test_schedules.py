"""Schedules: their ends, their shape, and that they are functions of the step alone."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from textvae.schedules import PeakRate, kl_weight, learning_rate

GRID = [step / 1000 for step in range(1001)]


@pytest.mark.parametrize("schedule", ["linear", "sigmoid"])
@pytest.mark.parametrize("warmup", [0.01, 0.2, 1.0])
def test_a_weight_rises_to_beta_at_the_end_of_its_warmup(schedule: str, warmup: float) -> None:
    def weight(progress: float) -> float:
        return kl_weight(progress, schedule=schedule, beta=0.4, warmup=warmup)

    weights = [weight(progress) for progress in GRID]
    assert all(before <= after for before, after in pairwise(weights))
    assert weight(warmup / 2) == pytest.approx(0.2)
    assert all(weight(p) == 0.4 for p in (warmup, (1 + warmup) / 2, 1.0))
    assert weight(warmup * 0.999999) == pytest.approx(0.4, rel=0.0026)


def test_linear_starts_at_nothing_and_sigmoid_near_it() -> None:
    assert kl_weight(0.0, schedule="linear") == 0.0
    assert kl_weight(0.05, schedule="linear", warmup=0.2) == 0.25
    assert kl_weight(0.0, schedule="sigmoid") == pytest.approx(1 / (1 + math.exp(6)))


def test_constant_is_beta_throughout() -> None:
    assert {kl_weight(progress, schedule="constant", beta=0.3) for progress in GRID} == {0.3}


@pytest.mark.parametrize("schedule", ["linear", "sigmoid"])
def test_no_warmup_is_the_constant_schedule(schedule: str) -> None:
    assert {kl_weight(p, schedule=schedule, beta=0.3, warmup=0.0) for p in GRID} == {0.3}


@pytest.mark.parametrize(("cycles", "ratio"), [(1, 0.5), (4, 0.5), (3, 1.0), (5, 0.2)])
def test_each_cycle_rises_over_its_ratio_then_stays(cycles: int, ratio: float) -> None:
    def weight(progress: float) -> float:
        return kl_weight(progress, schedule="cyclical", beta=2.0, cycles=cycles, ratio=ratio)

    for cycle in range(cycles):
        for within in (0.0, 0.1, 0.3, 0.7, 0.95):
            expected = 2.0 * min(within / ratio, 1.0)
            assert weight((cycle + within) / cycles) == pytest.approx(expected, abs=1e-9)
    assert weight(1.0) == 2.0  # training ends under the full weight


def test_one_cycle_is_the_linear_schedule() -> None:
    for progress in GRID:
        assert kl_weight(progress, schedule="cyclical", cycles=1, ratio=0.25) == pytest.approx(
            kl_weight(progress, schedule="linear", warmup=0.25)
        )


@pytest.mark.parametrize("schedule", ["constant", "linear", "sigmoid", "cyclical"])
def test_beyond_its_ends_a_weight_is_held(schedule: str) -> None:
    assert kl_weight(-1.0, schedule=schedule) == kl_weight(0.0, schedule=schedule)
    assert kl_weight(1.2, schedule=schedule) == kl_weight(1.0, schedule=schedule)


# learning rate


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_learning_rate_warms_up_by_the_step(schedule: str) -> None:
    rates = [
        learning_rate(step, 0.0, peak=0.01, schedule=schedule, warmup_steps=10)
        for step in range(21)
    ]
    assert rates[:11] == pytest.approx([0.001 * step for step in range(11)])
    assert rates[10:] == [0.01] * 11
    assert learning_rate(0, 0.0, peak=0.01, schedule=schedule, warmup_steps=0) == 0.01


@pytest.mark.parametrize(
    ("schedule", "half", "end"),
    [("constant", 1.0, 1.0), ("linear", 0.55, 0.1), ("cosine", 0.55, 0.1)],
)
def test_learning_rate_falls_to_its_final_fraction(schedule: str, half: float, end: float) -> None:
    def rate(progress: float) -> float:
        return learning_rate(
            10**6, progress, peak=0.01, schedule=schedule, warmup_steps=100, final_fraction=0.1
        )

    assert rate(0.0) == pytest.approx(0.01)
    assert rate(0.5) == pytest.approx(0.01 * half)
    assert rate(1.0) == rate(1.5) == pytest.approx(0.01 * end)
    rates = [rate(progress) for progress in GRID]
    assert all(before >= after for before, after in pairwise(rates))
    assert max(before - after for before, after in pairwise(rates)) < 0.01 / 500


def test_cosine_is_flat_at_both_ends() -> None:
    def fall(start: float) -> float:
        return learning_rate(10**6, start, peak=1.0) - learning_rate(10**6, start + 0.01, peak=1.0)

    assert max(fall(0.0), fall(0.99)) < 0.001
    assert fall(0.495) > 0.014


def test_a_long_run_has_a_lower_peak() -> None:
    peak = PeakRate(0.01, steps=2000)
    found = [peak.of_run(n) for n in (0, 1, 2000, 8000, 200_000)]
    assert found == pytest.approx([0.01, 0.01, 0.01, 0.005, 0.001])
    assert PeakRate(0.01).of_run(10**9) == 0.01  # a rate that was given
