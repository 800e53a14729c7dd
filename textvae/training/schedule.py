"""The schedule of a run: what each step trains, at which KL weight and learning rate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from textvae import schedules
from textvae.config import Config
from textvae.errors import ModelFormatError
from textvae.objectives.target_kl import TOLERANCE, TargetKL, bound_at_target
from textvae.schedules import PeakRate
from textvae.training.aggressive import Aggressive
from textvae.training.limits import Limits
from textvae.training.optimizer import Part
from textvae.training.processes import Processes
from textvae.training.recovery import learning_rate_factor
from textvae.training.state import TrainingState

BOUNDS = ("nll_elbo", "nll_iw", "rec")  # the first of these that a model has is minimised


class Schedule:
    """KL weight and learning rate by progress, the phases, and the controller of the KL.

    A training may begin as that of an autoencoder (Li 2019); the schedules run over that phase
    and again over what remains.

    Args:
        config: objective and training.
        limits: of the run; progress is measured by them.
        peak: of the learning rate, by the length of the run.
        state: of the run; read here, changed by its own methods only.
        processes: those that share a batch.
        device: of the model.
    """

    def __init__(
        self,
        config: Config,
        limits: Limits,
        peak: PeakRate,
        state: TrainingState,
        processes: Processes,
        device: torch.device,
    ) -> None:
        self._objective, self._training = config.objective, config.training
        self._limits, self._peak = limits, peak
        self._processes = processes
        target, aggressive = config.objective.target_kl, config.objective.aggressive
        self._target = TargetKL(target, device) if target is not None else None
        self._aggressive = Aggressive(device, processes) if aggressive else None
        self._state = state

    def restore(self, state: TrainingState) -> None:
        """Continue from `state`.

        Raises:
            ModelFormatError: it is damaged.
        """
        self._state = state
        try:
            if self._target is not None and state.target_kl:
                self._target.restore(state.target_kl)
            if self._aggressive is not None:
                self._aggressive.restore(state.aggressive)
        except ValueError as error:
            raise ModelFormatError(f"damaged checkpoint: {error}") from None

    def learnt(self) -> dict[str, Any]:
        """What `restore` needs of the controllers, as fields of the state."""
        return {
            "target_kl": self._target.state() if self._target is not None else [],
            "aggressive": self._aggressive.state() if self._aggressive is not None else {},
        }

    # phases

    @property
    def pretraining(self) -> bool:
        """True while the model is trained as an autoencoder."""
        return self._objective.pretrain_share > 0 and self._state.pretrained_step is None

    def pretraining_is_over(self) -> bool:
        """True if the main phase begins with the next step."""
        return self.pretraining and self.progress() >= 1

    @property
    def part(self) -> Part:
        """The part of the model that the next step trains."""
        if self._aggressive is None or self.pretraining:
            return "model"
        return self._aggressive.part

    # functions of progress

    def progress(self) -> float:
        """How much of the phase is done, from 0 to 1."""
        state, share = self._state, self._objective.pretrain_share
        if self.pretraining:
            return self._limits.progress(state.place, state.closing_seconds, share=share)
        return self._limits.progress(state.place, state.closing_seconds, since=state.main_phase)

    def kl_weight(self) -> float | Tensor | None:
        """Weight of the KL in the next step; None while there is no KL."""
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

    @property
    def peak(self) -> float:
        """The peak learning rate of a run of this length, after the rollbacks so far.

        Where time limits the run, its steps are those so far over the share of the run that is
        done. Steps that a rollback undid count: they took their time.
        """
        limits, state = self._limits, self._state
        steps: float = limits.steps or 0
        if limits.seconds is not None:
            done = limits.progress(state.place, state.closing_seconds)
            steps = (state.step + state.steps_undone) / done if done > 0 else 0
        return learning_rate_factor(state.rollbacks) * self._peak.of_run(steps)

    def learning_rate(self) -> float:
        """Learning rate of the next step."""
        state = self._state
        return schedules.learning_rate(
            state.step - state.main_phase.step + 1,
            self.progress(),
            peak=self.peak,
            schedule=self._training.learning_rate_schedule,
            warmup_steps=self._training.warmup_steps,
        )

    @property
    def full_weight(self) -> float:
        """The final KL weight, at which collapse of the latent can be judged."""
        if self._target is None:
            return self._objective.beta
        return math.inf if self.progress() < self._objective.kl_warmup else 0.0

    # controllers

    def observe(self, sums: Mapping[str, Tensor], sentences: int, tokens: Tensor) -> None:
        """Take in the local sums of a step over a global batch of so many `sentences`."""
        if self.pretraining:
            return
        skipped = sums["skipped"] > 0
        if self._target is not None:
            kl = self._processes.sum(sums["kl"]) / sentences
            self._target.observe(torch.where(skipped, math.nan, kl))
        if self._aggressive is not None:
            self._aggressive.observe(sums["loss"], torch.where(skipped, 0, tokens))

    def judge(self, figures: Mapping[str, float]) -> str | None:
        """Take in the figures of an evaluation; a message if they change the phase."""
        if self.pretraining:
            return None
        if self._target is not None:
            self._target.correct(figures["kl"])
        weight = self.kl_weight()
        risen = weight is not None and float(weight) >= 0.99 * self.full_weight
        # While the weight still rises, mi falls whatever the encoder does.
        if self._aggressive is not None and risen and self._aggressive.judge(figures["mi"]):
            return (
                f"aggressive training of the encoder ends: mi {figures['mi']:.3f} no longer rises"
            )
        return None

    # the best model

    def score(self, figures: Mapping[str, float]) -> float:
        """The figure that is lowest for the best model: its bound, in nats a sentence."""
        target = self._objective.target_kl
        if target is not None and not self.pretraining:
            return bound_at_target(figures["rec"], figures["kl"], target)
        return next(figures[name] for name in BOUNDS if name in figures)

    def missed_target(self) -> str | None:
        """A warning if the KL of the best model is not near target_kl, or None."""
        target, kl = self._objective.target_kl, self._state.best_kl
        if target is None or kl is None or abs(kl / target - 1) <= TOLERANCE:
            return None
        return (
            f"the validation KL is {kl:.2f} nats, more than {TOLERANCE:.0%} away from target_kl "
            f"{target:g}: train longer, or choose a KL that this text can fill"
        )
