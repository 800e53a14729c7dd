"""Learning rate and KL weight as pure functions of the progress of training.

`progress` is the share of training that is done, from 0 to 1; values beyond are held at their ends.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

KLSchedule = Literal["constant", "linear", "sigmoid", "cyclical"]
LearningRateSchedule = Literal["constant", "linear", "cosine"]


def kl_weight(
    progress: float,
    *,
    schedule: KLSchedule = "linear",
    beta: float = 1.0,
    warmup: float = 0.2,
    cycles: int = 4,
    ratio: float = 0.5,
) -> float:
    """Weight of the KL term at `progress`, from 0 up to `beta`.

    - constant: beta throughout (Higgins 2017).
    - linear: rises over the first `warmup` of training (Bowman 2016).
    - sigmoid: a logistic curve over the same stretch, 0.0025 of beta at its start and
      0.9975 at its end (Bowman 2016).
    - cyclical: `cycles` linear rises, each over the first `ratio` of its cycle
      (Fu 2019, eq. 6).

    >>> kl_weight(0.1, schedule="linear", warmup=0.2)
    0.5
    """
    progress = min(max(progress, 0.0), 1.0)
    if schedule == "constant":
        return beta
    if schedule == "linear":
        return beta * (min(progress / warmup, 1.0) if warmup > 0 else 1.0)
    if schedule == "sigmoid":
        if warmup <= 0 or progress >= warmup:
            return beta
        return beta / (1.0 + math.exp(-12.0 * (progress / warmup - 0.5)))
    if progress == 1.0:
        return beta
    within = (progress * cycles) % 1.0
    return beta * (min(within / ratio, 1.0) if ratio > 0 else 1.0)


class PeakRate(NamedTuple):
    """The peak of a learning rate, for runs of up to so many steps; longer runs have a lower one.

    >>> PeakRate(0.01, steps=2000).of_run(8000)
    0.005
    """

    rate: float
    steps: float = math.inf

    def of_run(self, n: float) -> float:
        """The peak of a run of n steps: beyond `steps` it falls with the square root of n."""
        return self.rate * math.sqrt(self.steps / n) if n > self.steps else self.rate


def learning_rate(
    step: int,
    progress: float,
    *,
    peak: float,
    schedule: LearningRateSchedule = "cosine",
    warmup_steps: int = 100,
    final_fraction: float = 0.05,
) -> float:
    """Learning rate at `step`: a linear warm-up in steps times a decay in progress.

    The decay ends at `final_fraction` of the peak. Cosine: Loshchilov & Hutter 2017, eq. 5.

    >>> learning_rate(50, 0.0, peak=1e-3, warmup_steps=100)
    0.0005
    """
    progress = min(max(progress, 0.0), 1.0)
    decay = {
        "constant": 1.0,
        "linear": 1.0 - (1.0 - final_fraction) * progress,
        "cosine": final_fraction
        + (1.0 - final_fraction) * 0.5 * (1.0 + math.cos(math.pi * progress)),
    }[schedule]
    warmup = min(step / warmup_steps, 1.0) if warmup_steps > 0 else 1.0
    return peak * warmup * decay
