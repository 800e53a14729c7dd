"""Target KL: a controller that finds the weight at which the KL is what the user asked for."""

from __future__ import annotations

import math

import torch
from torch import Tensor

START = 0.1  # weight: low, so that z is in use before it is rationed
INTEGRAL = 0.05  # growth of the log weight in a step, at a KL of twice the target
TREND = 2e-4  # the same of that growth: a decoder that learns needs ever more weight
LARGEST_TREND = 0.02
NEAR = 0.2  # smoothed error within which there is a trend to be learnt
PROPORTIONAL = 2.0  # of the log weight, at a smoothed KL of twice the target
SMOOTHING = 0.95  # share that the smoothed error keeps of itself in a step
AVERAGING = 0.97  # the same of the average that is compared with the validation KL
LARGEST_ERROR = 1.0  # beyond it, the far end of a start, an error counts no more
WEIGHTS = (1e-4, 1e3)  # where the weight stays
FLOOR_SHARE = 0.5  # of the target that free bits may keep from the controller
CORRECTION = 0.5  # share of the way to the measured ratio, whose two sides are not simultaneous
LARGEST_CORRECTION = math.log(2.0)
TOLERANCE = 0.05  # relative, of the validation KL
PREFERENCE = 10.0  # nats of reconstruction that a nat off the target is worth, beyond half of it


class TargetKL:
    """The weight of the KL, moved each step by how far the KL is from its target.

    With the relative error e = KL / target - 1 of a batch, bounded by 1, the log weight is

        log w_t = log START + sum_s<=t (INTEGRAL * e_s + v_s) + PROPORTIONAL * smoothed e_t,
        v_t = sum_s<=t TREND * e_s, over those s where the smoothed e_s is within NEAR.

    ControlVAE (Shao 2020, eq. 6 and 9) controls the weight itself, by the first sum and a bounded
    function of e_t. Of the logarithm the same gains serve weights of 0.01 and of 10, and a weight
    is never negative. The sum forgets nothing, so the KL ends at the target whatever weight that
    takes; the trend v keeps it there while the weight has to grow. The gains hold for trainings
    that take 5 to 100 steps to follow a change of the weight.

    What is to be held is the KL of validation, where no noise of training plays: after each
    evaluation the target of the batches is corrected by the ratio of both.

    All of it is one tensor on the device of the model: no step waits for the host.

    Args:
        target: nats a sentence.
        device: where the state is kept.

    >>> controller = TargetKL(8.0, torch.device("cpu"))
    >>> before = controller.weight()
    >>> controller.observe(torch.tensor(16.0))
    >>> bool(controller.weight() > before)
    True
    """

    def __init__(self, target: float, device: torch.device) -> None:
        self._target = target
        # log weight, its trend, smoothed error, running sum and mass of the KL, log correction
        self._state = torch.tensor([math.log(START), 0.0, 0.0, 0.0, 0.0, 0.0], device=device)

    def weight(self) -> Tensor:
        """The weight of the next step, a scalar on the device."""
        log_weight, _, smoothed, *_ = self._state
        return torch.exp(log_weight + PROPORTIONAL * smoothed)

    def observe(self, kl: Tensor) -> None:
        """Take in the mean KL of the sentences of a global batch, in nats; nan leaves all as is."""
        log_weight, trend, smoothed, total, mass, correction = self._state
        error = kl / (self._target * correction.exp()) - 1
        error = error.clamp(-LARGEST_ERROR, LARGEST_ERROR)
        smoothed = SMOOTHING * smoothed + (1 - SMOOTHING) * error
        moved = (trend + TREND * error).clamp(-LARGEST_TREND, LARGEST_TREND)
        trend = torch.where(smoothed.abs() < NEAR, moved, trend)
        low, high = (math.log(weight) for weight in WEIGHTS)
        moved_on = torch.stack(
            [
                (log_weight + INTEGRAL * error + trend).clamp(low, high),
                trend,
                smoothed,
                AVERAGING * total + (1 - AVERAGING) * kl,
                AVERAGING * mass + (1 - AVERAGING),
                correction,
            ]
        ).to(self._state.dtype)
        self._state = torch.where(kl.isnan(), self._state, moved_on)

    def correct(self, valid_kl: float) -> None:
        """Take in the KL of validation, in nats: its ratio to that of the last batches."""
        *_, total, mass, before = self._state
        ratio = (total / mass / max(valid_kl, 1e-6)).log()
        limits = -LARGEST_CORRECTION, LARGEST_CORRECTION
        moved = before + CORRECTION * (ratio.clamp(*limits) - before)
        correction = torch.where(mass > 0, moved, before)
        self._state = torch.cat([self._state[:-1], correction[None]])

    def state(self) -> list[float]:
        """All that a resumed run needs; this is where the host waits for the device."""
        values: list[float] = self._state.tolist()
        return values

    def restore(self, values: list[float]) -> None:
        """The inverse of `state`.

        Raises:
            ValueError: it is none.
        """
        if len(values) != len(self._state):
            raise ValueError(f"target_kl has {len(values)} numbers, not {len(self._state)}")
        self._state = self._state.new_tensor(values)


def floor_under(target: float, free_bits: float, *, dimensions: int) -> float:
    """Free bits that leave a target within reach: those asked for, or half the target at most.

    `dimensions` is the number of floors that add up: Z, or 1 where the total has one. The half
    that is kept from the controller keeps every unit alive.
    """
    return min(free_bits, FLOOR_SHARE * target / dimensions)


def bound_at_target(rec: float, kl: float, target: float) -> float:
    """What the best evaluation has least of: the bound at the target, more where the KL is off it.

    The bound itself would prefer whatever lies nearest to the KL of an unweighted VAE.
    """
    off = max(0.0, abs(kl - target) - TOLERANCE / 2 * target)
    return rec + target + PREFERENCE * off
