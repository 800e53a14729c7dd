"""How long training goes: steps, epochs or minutes, and the horizon of every schedule."""

from __future__ import annotations

import math
from dataclasses import dataclass

from textvae.config import TrainingConfig
from textvae.training.checkpoints import TrainingState

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
        patience: evaluations without a better one that end the run; 0: none do.
        eval_steps: steps between evaluations; None: so many that there are `EVALUATIONS`.
    """

    steps: int | None
    seconds: float | None
    patience: int = 0
    eval_steps: int | None = None

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
        steps = min(limits) if limits else None
        return cls(steps, seconds, training.patience, training.eval_steps)

    # the horizon

    def begin(self, state: TrainingState) -> None:
        """Fix the horizon of a run that begins at `state`, where it need not be estimated."""
        horizon = self.steps if self.seconds is None else state.horizon
        if horizon is None or self._outgrows(horizon, state):
            state.horizon = state.eval_steps = None
        else:
            self._fix(horizon, state)

    def plan(self, horizon: int, state: TrainingState) -> None:
        """Fix the horizon that was estimated for these limits."""
        self._fix(horizon, state)
        state.planned_seconds, state.planned_steps = self.seconds or 0.0, self.steps

    def _fix(self, horizon: int, state: TrainingState) -> None:
        state.horizon = horizon
        state.eval_steps = self.eval_steps or state.eval_steps or max(1, horizon // EVALUATIONS)

    def _outgrows(self, horizon: int, state: TrainingState) -> bool:
        """Whether a horizon was estimated for less than a resumed run is now given."""
        if self.seconds is None:
            return False
        was_the_limit = state.planned_steps == horizon
        return self.seconds > state.planned_seconds or (
            was_the_limit and (self.steps is None or self.steps > horizon)
        )

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

    # the end

    def spent(self, state: TrainingState) -> bool:
        """Whether the horizon is reached, or the run is out of patience."""
        limits = [limit for limit in (state.horizon, self.steps) if limit is not None]
        return any(state.step >= limit for limit in limits) or self.out_of_patience(state)

    def out_of_patience(self, state: TrainingState) -> bool:
        """Whether nothing has improved for `patience` evaluations."""
        return 0 < self.patience <= state.since_best

    def how_on(self, state: TrainingState) -> str:
        """What a run that is complete has to be given to go on."""
        if not self.out_of_patience(state):
            return "to go on, raise --max-steps, --epochs or --max-minutes"
        count = state.since_best
        return f"{count} evaluations were no better; to go on, raise training.patience with --set"

    def seconds_left(
        self, state: TrainingState, seconds: float, step_seconds: float
    ) -> float | None:
        """What is left after `seconds` at the speed of a step; None where nothing is known."""
        left = [max(self.seconds - seconds, 0.0)] if self.seconds is not None else []
        if state.horizon is not None:
            left.append(step_seconds * max(state.horizon - state.step, 0))
        return min(left, default=None)

    def out_of_time(self, seconds: float) -> bool:
        """Whether the hard stop is reached."""
        return self.seconds is not None and seconds >= self.seconds
