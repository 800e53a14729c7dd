"""The time of a run: since its first start, of a step, since the last report."""

from __future__ import annotations

import time

from textvae.training.budget import SETTLING_STEPS


class Clock:
    """Measures a run from `step` on, which has taken `seconds` before.

    >>> Clock(step=0, seconds=100.0).seconds() >= 100.0
    True
    """

    def __init__(self, step: int, seconds: float) -> None:
        now = time.monotonic()
        self._started = now - seconds
        self._first_step = step
        self._settled = (step, now)  # where the speed is measured from
        self._reported = now

    def seconds(self) -> float:
        """Time since the first start, over all resumptions."""
        return time.monotonic() - self._started

    def steps(self, step: int) -> int:
        """Steps since this start."""
        return step - self._first_step

    def settle_if_due(self, step: int) -> None:
        """Measure the speed from here on, where the first steps are just over."""
        if self.steps(step) == SETTLING_STEPS:
            self._settled = (step, time.monotonic())

    def step_seconds(self, step: int) -> float:
        """What a step takes, on average."""
        first, since = self._settled
        return (time.monotonic() - since) / max(step - first, 1)

    def since_report(self) -> float:
        """Time since the last call, without what `leave_out` was told."""
        now = time.monotonic()
        passed, self._reported = now - self._reported, now
        return max(passed, 1e-9)

    def leave_out(self, seconds: float) -> None:
        """Do not count this time towards the next report: an evaluation is no training."""
        self._reported += seconds
