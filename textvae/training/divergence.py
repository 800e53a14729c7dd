"""Loss, gradient and figures that are not finite: how often, and what then."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from textvae.errors import DivergedError
from textvae.training.checkpoints import TrainingState

MOST_SKIPPED = 10  # steps, in a row or of a half of them, that may be skipped
NOT_FINITE = "loss or gradient are not finite"
MOST_ROLLBACKS = 3  # to a checkpoint, each time with half the learning rate


class Divergence:
    """Whether a run can go on where it stands, or must go back to a checkpoint.

    Args:
        device: where the steps that were skipped are counted, so that none waits for the host.
        skipped_in_a_row: at the end of the steps that are done.

    Attributes:
        trouble: what is not finite, where the run cannot go on; else None.
    """

    def __init__(self, device: torch.device, skipped_in_a_row: int = 0) -> None:
        self._skipped_in_a_row = torch.tensor(skipped_in_a_row, device=device)
        self.trouble: str | None = None

    def observe(self, kept: Tensor) -> None:
        """Take in whether a step was kept, a boolean of no dimension."""
        self._skipped_in_a_row = torch.where(kept, 0, self._skipped_in_a_row + 1)

    @property
    def skipped_in_a_row(self) -> int:
        """Steps at the end that were skipped; the host waits for the device."""
        return int(self._skipped_in_a_row)

    def judge_steps(self, skipped: int, steps: int) -> None:
        """Whether so many of the last steps are too many."""
        if self.skipped_in_a_row >= MOST_SKIPPED or skipped >= max(MOST_SKIPPED, steps / 2):
            self.trouble = NOT_FINITE

    def judge_run(self, steps: int) -> None:
        """Whether a run that ends after so many steps has trained nothing."""
        if 0 < steps <= self.skipped_in_a_row:
            self.trouble = NOT_FINITE

    def judge_figures(self, figures: Mapping[str, float]) -> None:
        """Whether the figures of an evaluation are finite."""
        wrong = [name for name, value in figures.items() if not math.isfinite(value)]
        if wrong:
            self.trouble = f"the validation {wrong[0]} is {figures[wrong[0]]}"

    def error(self, state: TrainingState, peak_learning_rate: float) -> DivergedError:
        """What ends a run that going back does not help."""
        rate = peak_learning_rate * learning_rate_factor(state.rollbacks)
        back = f", also after going back {state.rollbacks} times with ever lower learning rates"
        saved = f"the model of step {state.best_step} is the last good one"
        return DivergedError(
            f"training diverged: {self.trouble} at step {state.step}"
            f"{back if state.rollbacks else ''}; "
            f"{saved if state.best is not None else 'no model was saved'}. Try a lower "
            f"--learning-rate (it was {rate:g} at the end)"
        )


def learning_rate_factor(rollbacks: int) -> float:
    """What is left of the learning rate after so many rollbacks."""
    return 0.5**rollbacks
