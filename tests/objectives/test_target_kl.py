"""The controller of the KL: it settles on simulated trainings, whatever weight that takes."""

from __future__ import annotations

import math

import pytest
import torch

from textvae.objectives.target_kl import TargetKL, bound_at_target, floor_under
from textvae.schedules import learning_rate

CPU = torch.device("cpu")
STEPS = 800


class Plant:
    """A training as the controller sees it: the KL follows the weight, late, noisily, drifting.

    At rest KL = scale / weight; the scale grows as the decoder learns to use z, and with the
    learning rate falls the speed.
    """

    def __init__(self, scale: float, *, lag: float, seed: int = 0) -> None:
        self.scale, self.lag = scale, lag
        self.log_kl = math.log(0.1)
        self.steps = 0
        self.random = torch.Generator().manual_seed(seed)

    def step(self, weight: float) -> tuple[float, float]:
        """(KL of a batch, KL of all sentences) after one more step at this weight."""
        self.steps += 1
        self.scale *= 1.002
        rate = learning_rate(10_000, self.steps / STEPS, peak=1.0)
        self.log_kl += (math.log(self.scale / weight) - self.log_kl) * rate / self.lag
        kl = math.exp(self.log_kl)
        return kl * (1 + 0.1 * torch.randn((), generator=self.random).item()), kl


def settle(plant: Plant, target: float, *, valid_ratio: float = 1.0) -> list[float]:
    """The validation KL over the last quarter of the steps, with ten evaluations."""
    controller, course = TargetKL(target, CPU), []
    for step in range(1, STEPS + 1):
        kl, true = plant.step(controller.weight().item())
        controller.observe(torch.tensor(kl))
        if step % (STEPS // 10) == 0:
            controller.correct(true * valid_ratio)
        course.append(true * valid_ratio)
    return course[-STEPS // 4 :]


@pytest.mark.parametrize("target", [4.0, 8.0, 16.0])
@pytest.mark.parametrize("scale", [0.2, 5.0])
@pytest.mark.parametrize("lag", [5.0, 100.0])
def test_it_settles_within_five_percent(target: float, scale: float, lag: float) -> None:
    course = settle(Plant(scale, lag=lag), target)
    assert sum(course) / len(course) == pytest.approx(target, rel=0.05)
    assert sum(abs(kl / target - 1) < 0.05 for kl in course) > 0.9 * len(course)


@pytest.mark.parametrize("valid_ratio", [0.8, 1.3])
def test_it_is_the_kl_of_validation_that_settles(valid_ratio: float) -> None:
    course = settle(Plant(1.0, lag=20.0), 8.0, valid_ratio=valid_ratio)
    assert sum(course) / len(course) == pytest.approx(8.0, rel=0.05)


def test_the_weight_rises_above_the_target_and_falls_below_it() -> None:
    controller = TargetKL(8.0, CPU)
    weights = [controller.weight().item()]
    for kl in (2.0, 2.0, 30.0, 30.0, 30.0):
        controller.observe(torch.tensor(kl))
        weights.append(controller.weight().item())
    assert weights[0] > weights[1] > weights[2] < weights[3] < weights[4] < weights[5]


def test_a_target_out_of_reach_leaves_the_weight_finite() -> None:
    controller = TargetKL(1e6, CPU)
    for _ in range(1000):
        controller.observe(torch.tensor(1.0))
    assert 0 < controller.weight().item() < 1e-3
    for _ in range(1000):
        controller.observe(torch.tensor(1e9))
    assert 1 < controller.weight().item() < 1e4


def test_a_restored_controller_goes_on_as_the_old_one() -> None:
    old, new = TargetKL(8.0, CPU), TargetKL(8.0, CPU)
    for kl in (1.0, 9.0, 13.7):
        old.observe(torch.tensor(kl))
    old.correct(7.0)
    new.restore(old.state())
    for controller in (old, new):
        controller.observe(torch.tensor(3.3))
    assert new.state() == old.state()


def test_free_bits_keep_at_most_half_of_the_target() -> None:
    assert floor_under(4.0, 0.2, dimensions=32) == 0.0625
    assert floor_under(64.0, 0.2, dimensions=32) == 0.2
    assert floor_under(4.0, 0.0, dimensions=32) == 0.0
    assert floor_under(4.0, 9.0, dimensions=1) == 2.0


def test_the_best_model_is_at_the_target_and_then_reconstructs_best() -> None:
    at = bound_at_target(rec=20.0, kl=16.1, target=16.0)
    assert at == 36.0
    assert at < bound_at_target(rec=22.0, kl=15.9, target=16.0)
    assert at < bound_at_target(rec=25.0, kl=8.0, target=16.0)  # whose bound of 33 is lower
    assert bound_at_target(rec=22.0, kl=17.0, target=16.0) < bound_at_target(55.0, 16.0, 16.0)
