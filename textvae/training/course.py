"""The course of a run: which phase a step belongs to, what it trains, and at which weights."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from textvae import schedules
from textvae.config import Config
from textvae.errors import ModelFormatError
from textvae.objectives.target_kl import TOLERANCE, TargetKL, bound_at_target
from textvae.training.aggressive import Aggressive
from textvae.training.checkpoints import TrainingState
from textvae.training.divergence import learning_rate_factor
from textvae.training.processes import Processes
from textvae.training.updates import Part

BOUNDS = ("nll_elbo", "nll_iw", "rec")  # what is minimised: the first that a model has


class Course:
    """Schedules, the phases before the main one, and the controller of the KL.

    A training may begin as that of an autoencoder (Li 2019); the schedules run over that phase
    and again over what remains. All that is not a function of the step stands in the state.

    Args:
        config: objective and training.
        peak: of the learning rate.
        state: where the run stands.
        processes: those that share a batch.
        device: of the model.
    """

    def __init__(
        self,
        config: Config,
        peak: float,
        state: TrainingState,
        processes: Processes,
        device: torch.device,
    ) -> None:
        self._objective, self._training = config.objective, config.training
        self._peak = peak
        self._processes = processes
        self._former_horizon: int | None = None
        target, aggressive = config.objective.target_kl, config.objective.aggressive
        self._target = TargetKL(target, device) if target is not None else None
        self._aggressive = Aggressive(device, processes) if aggressive else None
        self._state = state
        state.scored_for = target

    # the state

    def resume(self, state: TrainingState) -> None:
        """Go on where `state` stands.

        Raises:
            ModelFormatError: it is damaged.
        """
        if state.scored_for != self._objective.target_kl:  # scores of another scale
            state.best, state.since_best = None, 0
        state.scored_for = self._objective.target_kl
        self._state = state
        self._former_horizon = state.horizon
        try:
            if self._target is not None and state.target_kl:
                self._target.restore(state.target_kl)
            if self._aggressive is not None:
                self._aggressive.restore(state.aggressive)
        except ValueError as error:
            raise ModelFormatError(f"damaged checkpoint: {error}") from None

    def record(self) -> None:
        """Bring the state up to date, for a checkpoint."""
        if self._target is not None:
            self._state.target_kl = self._target.state()
        if self._aggressive is not None:
            self._state.aggressive = self._aggressive.state()

    # phases

    @property
    def pretraining(self) -> bool:
        """Whether the model is still trained as an autoencoder."""
        return self._objective.pretrain_share > 0 and self._state.pretrained_step is None

    def pretraining_is_over(self) -> bool:
        """Whether the phase ends with the step at hand."""
        horizon = self._horizon
        return self.pretraining and horizon is not None and self._state.step >= self._share(horizon)

    def end_pretraining(self) -> None:
        """Begin the main phase; a bound of an autoencoder is no longer the best."""
        self._state.pretrained_step = self._state.step
        self._state.best, self._state.since_best = None, 0

    @property
    def part(self) -> Part:
        """What the step at hand trains."""
        if self._aggressive is None or self.pretraining:
            return "model"
        return self._aggressive.part

    # schedules

    def progress(self) -> float:
        """Share of the phase that is done; 0 until something of the horizon is known."""
        horizon, step = self._horizon, self._state.step
        if horizon is None:
            return 0.0
        if self.pretraining:
            return step / self._share(horizon)
        first = self._state.pretrained_step or 0
        return (step - first) / max(horizon - first, 1)

    def kl_weight(self) -> float | Tensor | None:
        """Weight of the KL in the step at hand; None while there is none."""
        objective = self._objective
        if self.pretraining:
            return None
        if self._target is not None:
            return self._target.weight()
        return schedules.kl_weight(
            self.progress(),
            schedule=objective.kl_schedule,
            beta=objective.beta,
            warmup=objective.kl_warmup,
            cycles=objective.kl_cycles,
            ratio=objective.kl_ratio,
        )

    def learning_rate(self) -> float:
        """Learning rate of the step at hand."""
        return learning_rate_factor(self._state.rollbacks) * schedules.learning_rate(
            self._state.step - (self._state.pretrained_step or 0) + 1,
            self.progress(),
            peak=self._peak,
            schedule=self._training.learning_rate_schedule,
            warmup_steps=self._training.warmup_steps,
        )

    @property
    def full_weight(self) -> float:
        """The weight at which a latent may be judged: that which the KL comes to."""
        if self._target is None:
            return self._objective.beta
        return math.inf if self.progress() < self._objective.kl_warmup else 0.0

    @property
    def _horizon(self) -> int | None:
        # Until the speed is measured, a limit on steps is the best that is known.
        return self._state.horizon or self._former_horizon or self._training.max_steps

    def _share(self, horizon: int) -> int:
        return math.ceil(self._objective.pretrain_share * horizon)

    # what is learnt on the way

    def observe(self, sums: Mapping[str, Tensor], sentences: int, tokens: Tensor) -> None:
        """Take in the sums of a step over local sentences; `sentences` are those of the batch."""
        if self.pretraining:
            return
        skipped = sums["skipped"] > 0
        if self._target is not None:
            kl = self._processes.sum(sums["kl"]) / sentences
            self._target.observe(torch.where(skipped, math.nan, kl))
        if self._aggressive is not None:
            self._aggressive.observe(sums["loss"], torch.where(skipped, 0, tokens))

    def judge(self, figures: Mapping[str, float]) -> str | None:
        """Take in the figures of an evaluation; what there is to say about it."""
        if self.pretraining:
            return None
        if self._target is not None:
            self._target.correct(figures["kl"])
        weight = self.kl_weight()
        risen = weight is not None and float(weight) >= 0.99 * self.full_weight
        # While the weight still rises, mi falls whatever the encoder does.
        if self._aggressive is not None and risen and self._aggressive.judge(figures["mi"]):
            return f"aggressive training of the encoder ends: mi {figures['mi']:.3f} rose no more"
        return None

    def missed_target(self) -> str | None:
        """What to say where the KL of the saved model is not what was asked for."""
        target, kl = self._objective.target_kl, self._state.best_kl
        if target is None or kl is None or abs(kl / target - 1) <= TOLERANCE:
            return None
        return (
            f"the KL of validation is {kl:.2f} nats, more than {TOLERANCE:.0%} from the "
            f"target_kl of {target:g}: train longer, or ask for a KL that this text can fill"
        )

    def score(self, figures: Mapping[str, float]) -> float:
        """What the best evaluation has least of: the validation bound, in nats a sentence."""
        target = self._objective.target_kl
        if target is not None and not self.pretraining:
            return bound_at_target(figures["rec"], figures["kl"], target)
        return next(figures[name] for name in BOUNDS if name in figures)
