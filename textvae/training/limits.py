"""How long training goes: the limits of a run, its progress, and the clock that measures it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from time import monotonic
from typing import NamedTuple

from textvae.config import TrainingConfig
from textvae.errors import flag, worded
from textvae.training.processes import STEPS_BETWEEN_VOTES, Processes

DEFAULT_EPOCHS, DEFAULT_STEPS = 20.0, 1_000  # whichever is longer, where nothing limits a run
EVALUATIONS = 10  # in a training whose eval_steps is not set
SECONDS_BETWEEN_VOTES = 1.0  # of several processes, about the time
SETTLING_STEPS = 5  # left out of the speed: caches, threads and lazily built kernels


class Place(NamedTuple):
    """How far a run is: steps done, and seconds since its first start."""

    step: int
    seconds: float


START = Place(0, 0.0)


@dataclass(frozen=True)
class Limits:
    """What ends a run.

    Attributes:
        steps: from max_steps and epochs, whichever are fewer; None: no limit.
        seconds: from max_minutes; None: no limit.
        patience: evaluations without a better one that end the run; 0: none do.
        eval_steps: steps between evaluations; None: `EVALUATIONS` of them at even distances.

    >>> limits = Limits(steps=1_000, seconds=60.0)
    >>> limits.progress(Place(100, 30.0)), limits.progress(Place(900, 30.0))
    (0.5, 0.9)
    """

    steps: int | None
    seconds: float | None
    patience: int = 0
    eval_steps: int | None = None

    @classmethod
    def of(cls, training: TrainingConfig, steps_per_epoch: int) -> Limits:
        """The limits that a configuration sets; without one, 20 epochs or 1,000 steps, if more."""
        limits = [training.max_steps] if training.max_steps is not None else []
        if training.epochs is not None:
            limits.append(max(1, math.ceil(training.epochs * steps_per_epoch)))
        if not limits and training.max_minutes is None:
            limits.append(max(math.ceil(DEFAULT_EPOCHS * steps_per_epoch), DEFAULT_STEPS))
        seconds = training.max_minutes * 60 if training.max_minutes is not None else None
        steps = min(limits) if limits else None
        return cls(steps, seconds, training.patience, training.eval_steps)

    def progress(
        self, now: Place, closing: float = 0.0, *, since: Place = START, share: float = 1.0
    ) -> float:
        """How much of a phase is done, from 0 to 1: the larger of its steps' and its time's share.

        The phase goes from `since` to the end of the first `share` of the run. The last `closing`
        seconds of the run belong to the last evaluation and to saving, so that steps end before.
        """
        done = [0.0]
        if self.steps is not None:
            steps = math.ceil(share * self.steps) - since.step
            done.append((now.step - since.step) / max(steps, 1))
        if self.seconds is not None:
            seconds = share * (self.seconds - closing) - since.seconds
            done.append((now.seconds - since.seconds) / seconds if seconds > 0 else 1.0)
        return min(max(done), 1.0)

    def evaluation_is_due(self, now: Place, last: Place | None, closing: float) -> bool:
        """True if an evaluation comes at this step; the last one was at `last`.

        Where time decides, one comes with every tenth of progress, and the first of a run at a
        tenth in any case: it shows how much time to keep for the last one.
        """
        every = self.eval_steps
        if every is None and self.steps is not None and self.seconds is None:
            every = max(1, self.steps // EVALUATIONS)
        if every is not None and now.step % every == 0:
            return True
        if self.seconds is None or (every is not None and last is not None):
            return False
        before = self.progress(last or START, closing)
        return int(EVALUATIONS * self.progress(now, closing)) > int(EVALUATIONS * before)

    def reached(self, now: Place, since_best: int, closing: float) -> bool:
        """True if a run that is at `now` is over."""
        return self.progress(now, closing) >= 1 or self.out_of_patience(since_best)

    def out_of_patience(self, since_best: int) -> bool:
        """True if none of the last `patience` evaluations was better than those before."""
        return 0 < self.patience <= since_best

    def how_to_continue(self, since_best: int) -> str:
        """What to change so that a complete run can continue."""
        if not self.out_of_patience(since_best):
            limits = worded("--max-steps, --epochs", "max_steps, epochs")
            last = flag("max_minutes")
            return f"to continue, raise {limits} or {last}"
        better = f"{since_best} evaluations were no better"
        with_set = worded("training.patience with --set", "patience")
        return f"{better}; to continue, raise {with_set}"

    def seconds_left(self, now: Place, step_seconds: float) -> float | None:
        """Time until the first limit at the speed of a step; None where there is no limit."""
        left = [max(self.seconds - now.seconds, 0.0)] if self.seconds is not None else []
        if self.steps is not None:
            left.append(step_seconds * max(self.steps - now.step, 0))
        return min(left, default=None)


class Clock:
    """The time of a run: since its first start, of a step, since the last log line.

    Args:
        processes: those of the run, which must agree on the time where it is a limit.
        place: where the run starts or continues.
        decides: whether the time is a limit.
    """

    def __init__(self, processes: Processes, place: Place, *, decides: bool) -> None:
        now = monotonic()
        self._processes, self._decides = processes, decides
        self._started = now - place.seconds
        self._first = self._settled = (place.step, now)  # where the speed is measured from
        self._logged, self._sentences = now, 0
        self._agreed, self._next_vote = place.seconds, place.step

    def seconds(self) -> float:
        """Time since the first start, over all resumptions, as this process sees it."""
        return monotonic() - self._started

    def agreed_seconds(self) -> float:
        """Time since the first start as the main process sees it; every process must ask."""
        self._agreed = self._processes.from_main(self.seconds())
        return self._agreed

    def seconds_at(self, step: int) -> float:
        """Time at the end of a step, the same on every process.

        Where the time is no limit, it is that of the process itself. Several processes ask the
        main one about every second, or every `STEPS_BETWEEN_VOTES` steps if that is sooner.
        """
        if step - self._first[0] == SETTLING_STEPS:
            self._settled = (step, monotonic())
        if self._processes.count == 1 or not self._decides:
            return self.seconds()
        if step >= self._next_vote:
            pause = int(SECONDS_BETWEEN_VOTES / self.step_seconds(step))
            mine = self.seconds(), step + min(max(pause, 1), STEPS_BETWEEN_VOTES)
            self._agreed, self._next_vote = self._processes.from_main(mine)
        return self._agreed

    def step_seconds(self, step: int) -> float:
        """Mean time of a step."""
        first, since = self._settled if step > self._settled[0] else self._first
        return max((monotonic() - since) / max(step - first, 1), 1e-9)

    def count(self, sentences: int) -> None:
        """Count the sentences of a step, for the speed in the next log line."""
        self._sentences += sentences

    def speed_since_log(self) -> float:
        """Sentences per second since the last call, or since this process started the run.

        The sums of a resumed run also have the sentences before its interruption; these are not
        counted here. Time that `leave_out` was told is left out.
        """
        now = monotonic()
        passed, self._logged = now - self._logged, now
        sentences, self._sentences = self._sentences, 0
        return sentences / max(passed, 1e-9)

    def leave_out(self, seconds: float) -> None:
        """Do not count this time towards the next log line: an evaluation is no training."""
        self._logged += seconds
