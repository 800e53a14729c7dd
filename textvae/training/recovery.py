"""Recovery from divergence: when a run must go back to a checkpoint, and when it must end."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from textvae.errors import DivergedError, flag
from textvae.training.state import TrainingState

MOST_SKIPPED = 10  # steps, in a row or of a half of them, that may be skipped
NOT_FINITE = "loss or gradient are not finite"
MOST_ROLLBACKS = 3  # to a checkpoint, each time with half the learning rate


class Divergence:
    """Losses, gradients and figures that are not finite: too many, or few enough to continue.

    Args:
        device: where skipped steps are counted, so that no step waits for the host.
        skipped_in_a_row: how many of the last steps were skipped before.

    Attributes:
        judged_step: the step up to which `judge_steps` has looked.
        trouble: what is not finite, if the run must go back to a checkpoint; else None.
    """

    def __init__(
        self, device: torch.device, skipped_in_a_row: int = 0, *, judged_step: int | None = None
    ) -> None:
        self._skipped_in_a_row = torch.tensor(skipped_in_a_row, device=device)
        self.judged_step = judged_step
        self.trouble: str | None = None

    def observe(self, kept: Tensor) -> None:
        """Count a step; `kept` is a boolean scalar, False if the step was skipped."""
        self._skipped_in_a_row = torch.where(kept, 0, self._skipped_in_a_row + 1)

    @property
    def skipped_in_a_row(self) -> int:
        """How many of the last steps were skipped; the host waits for the device."""
        return int(self._skipped_in_a_row)

    def judge_steps(self, skipped: int, steps: int, step: int) -> None:
        """Set `trouble` if too many of the last `steps`, up to `step`, were skipped."""
        self.judged_step = step
        if not skipped:
            return
        if self.skipped_in_a_row >= MOST_SKIPPED or skipped >= max(MOST_SKIPPED, steps / 2):
            self.trouble = NOT_FINITE

    def judge_run(self, steps: int) -> None:
        """Set `trouble` if all steps of a run that ends were skipped."""
        if 0 < steps <= self.skipped_in_a_row:
            self.trouble = NOT_FINITE

    def judge_figures(self, figures: Mapping[str, float]) -> None:
        """Set `trouble` if a figure of an evaluation is not finite."""
        wrong = [name for name, value in figures.items() if not math.isfinite(value)]
        if wrong:
            self.trouble = f"the validation {wrong[0]} is {figures[wrong[0]]}"

    def error(self, state: TrainingState, peak: float) -> DivergedError:
        """The error of a run that going back does not help; its last peak learning rate."""
        back = f", also after going back {state.rollbacks} times with ever lower learning rates"
        saved = f"the model of step {state.best_step} is the last good one"
        return DivergedError(
            f"training diverged: {self.trouble} at step {state.step}"
            f"{back if state.rollbacks else ''}; "
            f"{saved if state.best is not None else 'no model was saved'}. Try a lower "
            f"{flag('learning_rate')} (it was {peak:g} at the end)"
        )


def learning_rate_factor(rollbacks: int) -> float:
    """Share of the learning rate that is left after so many rollbacks."""
    return 0.5**rollbacks
