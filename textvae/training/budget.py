"""How long training goes: steps, epochs or minutes, and the horizon of every schedule."""

from __future__ import annotations

import math
from dataclasses import dataclass

from textvae.config import TrainingConfig

DEFAULT_EPOCHS = 20.0
EVALUATIONS = 10  # in a training whose eval_steps is not set
MEASURED_SHARE = 0.03  # of the minutes, before the horizon is estimated
MEASURED_SECONDS = 4.0  # at least: a second tells little of a machine that does other work too
LARGEST_SHARE = 0.1  # but no more than this of the minutes
SETTLING_STEPS = 5  # left out of the speed: caches, threads and lazily built kernels
MARGIN = 0.985  # of the remaining time is planned for; machines slow down


@dataclass(frozen=True)
class Budget:
    """The limits of a run.

    Attributes:
        steps: the horizon where steps or epochs set it, else None.
        seconds: the hard stop, else None.
    """

    steps: int | None
    seconds: float | None

    @classmethod
    def of(cls, training: TrainingConfig, steps_per_epoch: int) -> Budget:
        """The budget that a configuration asks for; twenty epochs where it asks for nothing."""
        limits = [training.max_steps] if training.max_steps is not None else []
        epochs = training.epochs
        if epochs is None and not limits and training.max_minutes is None:
            epochs = DEFAULT_EPOCHS
        if epochs is not None:
            limits.append(max(1, math.ceil(epochs * steps_per_epoch)))
        seconds = training.max_minutes * 60 if training.max_minutes is not None else None
        return cls(min(limits) if limits else None, seconds)

    def horizon_from_speed(
        self, *, step: int, seconds: float, step_seconds: float, evaluation_seconds: float
    ) -> int:
        """Steps that fit into the time, once and for all, at `step` after `seconds`.

        `step_seconds` and `evaluation_seconds` are what one of each has been measured to
        take; one evaluation is already done, the others and the last save are still to come.
        """
        assert self.seconds is not None
        left = (self.seconds - seconds) * MARGIN - EVALUATIONS * evaluation_seconds
        estimate = step + max(1, int(left / step_seconds))
        return min(estimate, self.steps) if self.steps is not None else estimate

    def ready_to_estimate(self, steps: int, seconds: float) -> bool:
        """Whether enough has been seen of the speed: `steps` since this start."""
        if self.seconds is None or steps <= SETTLING_STEPS:
            return False
        wanted = max(MEASURED_SHARE * self.seconds, MEASURED_SECONDS)
        return seconds >= min(wanted, LARGEST_SHARE * self.seconds)

    def out_of_time(self, seconds: float) -> bool:
        """Whether the hard stop is reached."""
        return self.seconds is not None and seconds >= self.seconds
