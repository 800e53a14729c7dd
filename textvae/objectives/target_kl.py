"""Target KL: a controller that finds the weight at which the KL meets a given target."""

from __future__ import annotations

import math

import torch
from torch import Tensor

START = 0.1  # weight: low, so that the decoder uses z before the KL is penalised
INTEGRAL = 0.05  # growth of the log weight per step, at a KL of twice the target
TREND = 2e-4  # growth of the trend per step: the weight must rise as the decoder learns
LARGEST_TREND = 0.02
NEAR = 0.2  # the trend is updated while the smoothed error is below this
PROPORTIONAL = 2.0  # added to the log weight, at a smoothed KL of twice the target
SMOOTHING = 0.95  # decay of the smoothed error per step
AVERAGING = 0.97  # decay of the average KL that is compared with the validation KL
LARGEST_ERROR = 1.0  # errors are clipped here; larger ones occur at the start
WEIGHTS = (1e-4, 1e3)  # bounds of the weight
FLOOR_SHARE = 0.5  # share of the target that free bits may take
CORRECTION = 0.5  # step towards the measured ratio; its two KLs are not simultaneous
LARGEST_CORRECTION = math.log(2.0)
TOLERANCE = 0.05  # relative error of the validation KL
PREFERENCE = 10.0  # nats of rec that offset a nat off the target, beyond TOLERANCE / 2


class TargetKL:
    """A controller that moves the KL weight each step by the distance of the KL from its target.

    With the relative error e = KL / target - 1 of a batch, bounded by 1, the log weight is

        log w_t = log START + sum_s<=t (INTEGRAL * e_s + v_s) + PROPORTIONAL * smoothed e_t,
        v_t = sum_s<=t TREND * e_s, over those s where the smoothed e_s is within NEAR.

    ControlVAE (Shao 2020, eq. 6 and 9) controls the weight itself, by the first sum and a bounded
    function of e_t. Control of the logarithm works with the same gains for weights of 0.01 and of
    10, and the weight is never negative. The sum does not decay, so the KL reaches the target
    whatever weight this needs. The trend v keeps the KL there while the weight has to grow. The
    gains suit trainings in which the KL follows a change of the weight within 5 to 100 steps.

    The target is for the validation KL, which has no training noise: after each evaluation the
    target of the batches is corrected by the ratio of the two KLs.

    The state is one tensor on the device of the model, so no step waits for the host.

    Args:
        target: nats per sentence.
        device: the device of the state.

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
        """Correct the target of the batches by their ratio to the validation KL, in nats."""
        *_, total, mass, before = self._state
        ratio = (total / mass / max(valid_kl, 1e-6)).log()
        limits = -LARGEST_CORRECTION, LARGEST_CORRECTION
        moved = before + CORRECTION * (ratio.clamp(*limits) - before)
        correction = torch.where(mass > 0, moved, before)
        self._state = torch.cat([self._state[:-1], correction[None]])

    def state(self) -> list[float]:
        """The state for a resumed run; this call waits for the device."""
        values: list[float] = self._state.tolist()
        return values

    def restore(self, values: list[float]) -> None:
        """Set the state to the result of an earlier `state`.

        Raises:
            ValueError: the list has another length.
        """
        if len(values) != len(self._state):
            raise ValueError(
                f"the state of target_kl has {len(values)} numbers, expected {len(self._state)}"
            )
        self._state = self._state.new_tensor(values)


def floor_under(target: float, free_bits: float, *, dimensions: int) -> float:
    """Free bits, limited so that all floors together take at most half of the target.

    `dimensions` is the number of floors that add up: Z, or 1 if the floor is on the total. The
    half below the floors keeps every dimension active.
    """
    return min(free_bits, FLOOR_SHARE * target / dimensions)


def bound_at_target(rec: float, kl: float, target: float) -> float:
    """The score that selects the best checkpoint (lower is better): the bound at the target KL.

    A KL off the target adds a penalty. The plain bound would select the checkpoint whose KL is
    closest to that of an unweighted VAE.
    """
    off = max(0.0, abs(kl - target) - TOLERANCE / 2 * target)
    return rec + target + PREFERENCE * off
