"""The noise of a training step, passed as an explicit argument.

Each step draws noise for the global batch from (seed, step) and keeps the rows of the local
sentences. So the noise of a sentence does not depend on the number of processes, and a resumed run
draws the same noise as an uninterrupted run.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy

import torch
from torch import Tensor

from textvae.randomness.purposes import STEP
from textvae.randomness.seeds import derived_seed


class StepNoise:
    """The noise of one training step, and means over its global batch; draws have a fixed order.

    Args:
        seed: seed of the run.
        step: training step.
        places: index of each local sentence in the global batch, shape (B,); in ascending order
            if all sentences are local.
        total: number of sentences in the global batch.
        longest: number of tokens of the longest sentence in the global batch.
        device: device that draws the noise; devices of one kind draw the same noise.
        sum_over_processes: sums a tensor, and its gradient, over all processes; the identity for
            a single process.
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
        self._seed = derived_seed(seed, STEP, step)
        self._generator = torch.Generator(device).manual_seed(self._seed)
        self._places = None if len(places) == total else places.to(device)
        self._sum_over_processes = sum_over_processes
        self.total = total
        self._longest = longest
        self._device = device
        self._times = 1

    def with_generator(self, generator: torch.Generator) -> StepNoise:
        """The same noise from another generator of the device, which is seeded for it now."""
        other = copy(self)
        other._generator = generator
        other.reseed()
        return other

    def reseed(self) -> None:
        """Start the noise of the step again."""
        self._generator.manual_seed(self._seed)

    def part(self, rows: slice) -> StepNoise:
        """The noise of some of the local sentences, from the start, whatever was drawn before.

        Its `batch_mean` is not of the batch but of these sentences.
        """
        some = copy(self)
        places = torch.arange(self.total, device=self._device)
        some._places = (places if self._places is None else self._places)[rows]
        some._generator = torch.Generator(self._device).manual_seed(self._seed)
        return some

    def repeat(self, times: int) -> StepNoise:
        """Noise for `Tokens.repeat`: later draws are repeated `times` times, (times * B, ...)."""
        repeated = copy(self)
        repeated._times = times
        return repeated

    def normal(self, width: int) -> Tensor:
        """Standard normal noise for each sentence, shape (B, width)."""
        return self._mine(
            torch.randn(self.total, width, generator=self._generator, device=self._device)
        )

    def uniform(self, *shape: int) -> Tensor:
        """Uniform noise in [0, 1) for each sentence, shape (B, *shape)."""
        return self._mine(
            torch.rand(self.total, *shape, generator=self._generator, device=self._device)
        )

    def uniform_over_time(self, steps: int, *shape: int) -> Tensor:
        """Uniform noise for each token, shape (B, steps, *shape), independent of local padding."""
        return self.uniform(self._longest, *shape)[:, :steps]

    def batch_mean(self, x: Tensor) -> Tensor:
        """The mean of (B, ...) over the sentences of the global batch, shape (...)."""
        return self._sum_over_processes(x.sum(0)) / self.total

    def _mine(self, noise: Tensor) -> Tensor:
        mine = noise if self._places is None else noise[self._places]
        return mine if self._times == 1 else mine.repeat(self._times, *[1] * (mine.dim() - 1))
