"""The randomness of training, as an argument that one can see.

A training step draws its noise for the whole global batch from (seed, step) and keeps the
rows of its own sentences. So a sentence meets the same noise however many processes share
the batch, and a resumed run meets the noise it would have met.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy

import torch
from torch import Tensor

from textvae.randomness.purposes import STEP
from textvae.randomness.seeds import derived_seed


class StepNoise:
    """Noise of one training step, its draws in a fixed order, and means over its whole batch.

    Args:
        seed: seed of the run.
        step: training step.
        places: place of each local sentence in the global batch, shape (B,); where all are
            here, they stand in order.
        total: sentences in the global batch.
        longest: tokens of the longest sentence of the global batch.
        device: where the noise is made; equal on all processes of one kind of device.
        sum_over_processes: adds a tensor over all processes, and its gradients likewise; the
            identity for one.
    """

    def __init__(
        self,
        seed: int,
        step: int,
        places: Tensor,
        total: int,
        longest: int,
        device: torch.device,
        sum_over_processes: Callable[[Tensor], Tensor] = lambda x: x,
    ) -> None:
        self._generator = torch.Generator(device).manual_seed(derived_seed(seed, STEP, step))
        self._places = None if len(places) == total else places.to(device)
        self._sum_over_processes = sum_over_processes
        self.total = total
        self._longest = longest
        self._device = device
        self._times = 1

    def repeat(self, times: int) -> StepNoise:
        """The noise of `Tokens.repeat`: further draws, each `times` over, (times * B, ...)."""
        repeated = copy(self)
        repeated._times = times
        return repeated

    def normal(self, width: int) -> Tensor:
        """Standard normal noise a sentence, shape (B, width)."""
        return self._mine(
            torch.randn(self.total, width, generator=self._generator, device=self._device)
        )

    def uniform(self, *shape: int) -> Tensor:
        """Uniform noise in [0, 1) a sentence, shape (B, *shape)."""
        return self._mine(
            torch.rand(self.total, *shape, generator=self._generator, device=self._device)
        )

    def uniform_over_time(self, steps: int, *shape: int) -> Tensor:
        """Uniform noise a token, shape (B, steps, *shape), blind to the local padding."""
        return self.uniform(self._longest, *shape)[:, :steps]

    def batch_mean(self, x: Tensor) -> Tensor:
        """Mean of (B, ...) over the sentences of the global batch, shape (...)."""
        return self._sum_over_processes(x.sum(0)) / self.total

    def _mine(self, noise: Tensor) -> Tensor:
        mine = noise if self._places is None else noise[self._places]
        return mine if self._times == 1 else mine.repeat(self._times, *[1] * (mine.dim() - 1))
