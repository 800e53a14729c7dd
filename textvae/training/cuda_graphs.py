"""Training steps on a GPU, replayed as CUDA graphs.

The step of a small model is a few hundred kernels that take less time than the Python that
launches them. A graph launches all of them at once. It is captured for one shape of batch, so
lengths are rounded up to few values.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from textvae.data.batches import Batch, Tokens
from textvae.randomness.noise import StepNoise

MULTIPLE = 8  # lengths are rounded up to a multiple of it
EAGER_STEPS = 2  # of a shape before its capture: Adam makes its state, cuDNN its plans
MOST_GRAPHS = 96  # shapes beyond so many are stepped eagerly

Sums = dict[str, Tensor]
# One step: (batch, noise, weight of the KL, learning rate) -> sums
Step = Callable[[Batch, StepNoise, "float | Tensor | None", "float | Tensor"], Sums]


@dataclass(frozen=True, eq=False)
class CapturedStep:
    """A graph with the tensors that it reads and writes."""

    graph: torch.cuda.CUDAGraph
    batch: Batch
    kl_weight: Tensor
    learning_rate: Tensor
    sums: Sums


class CapturedSteps:
    """The steps of one optimizer, captured by shape; each replay moves the weights by one step.

    Random numbers keep their meaning: the generator of the noise belongs to the graph, and is
    seeded for each step as in an eager step.

    Args:
        device: a GPU.

    >>> steps = CapturedSteps(torch.device("cuda"))  # doctest: +SKIP
    >>> sums = steps.run("model", step, batch, noise, 0.5, 1e-3)  # doctest: +SKIP
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._generator = torch.Generator(device)
        self._stream = torch.cuda.Stream(device)
        self._captured: dict[tuple[object, ...], CapturedStep] = {}
        self._seen: Counter[tuple[object, ...]] = Counter()
        self._pool: Any = None  # the memory that all graphs share
        self._fails = False

    def clear(self) -> None:
        """Forget all graphs: the tensors that they move have been replaced."""
        self._captured.clear()
        self._seen.clear()
        self._pool = None

    def run(
        self,
        part: str,
        step: Step,
        batch: Batch,
        noise: StepNoise,
        kl_weight: float | Tensor | None,
        learning_rate: float,
    ) -> Sums:
        """The sums of one step, eager or replayed; they are valid until the next step.

        Args:
            part: of the model that the step moves; each has graphs of its own.
            step: does the work eagerly.
            batch: of rounded lengths, see `rounded`.
        """
        key = (part, kl_weight is None, *batch.source.ids.shape, *batch.target.ids.shape)
        noise = noise.with_generator(self._generator)
        if key not in self._captured:
            self._seen[key] += 1
            full = len(self._captured) >= MOST_GRAPHS
            if self._seen[key] <= EAGER_STEPS or full or self._fails:
                return self._eager(step, batch, noise, kl_weight, learning_rate)
            captured = self._capture(step, batch, noise, kl_weight)
            if captured is None:
                return self._eager(step, batch, noise, kl_weight, learning_rate)
            self._captured[key] = captured
        found = self._captured[key]
        copy_tokens(batch.source, found.batch.source)
        if found.batch.target is not found.batch.source:
            copy_tokens(batch.target, found.batch.target)
        if found.batch.labels is not None and batch.labels is not None:
            found.batch.labels.copy_(batch.labels)
        if isinstance(kl_weight, Tensor):
            found.kl_weight.copy_(kl_weight)
        elif kl_weight is not None:
            found.kl_weight.fill_(kl_weight)
        found.learning_rate.fill_(learning_rate)
        noise.reseed()
        found.graph.replay()
        return found.sums

    def _eager(
        self,
        step: Step,
        batch: Batch,
        noise: StepNoise,
        kl_weight: float | Tensor | None,
        learning_rate: float,
    ) -> Sums:
        """A step on the stream of the captures, so that nothing of it belongs to another."""
        rate = torch.full((), learning_rate, device=self._device)
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            sums = step(batch, noise, kl_weight, rate)
        current.wait_stream(self._stream)
        return sums

    def _capture(
        self, step: Step, batch: Batch, noise: StepNoise, kl_weight: float | Tensor | None
    ) -> CapturedStep | None:
        """The graph of a step on batches of this shape; None, with a warning, if it has none."""
        source = cloned(batch.source)
        target = source if batch.target is batch.source else cloned(batch.target)
        labels = None if batch.labels is None else batch.labels.clone()
        static = replace(batch, source=source, target=target, labels=labels)
        weight = torch.zeros((), device=self._device)
        rate = torch.zeros((), device=self._device)
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self._generator)
        torch.cuda.synchronize(self._device)
        try:
            with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
                sums = step(static, noise, None if kl_weight is None else weight, rate)
        except RuntimeError as error:
            self._fails = True
            reason = str(error).partition("\n")[0]
            warnings.warn(
                f"a training step could not be captured as a CUDA graph ({reason}); steps are "
                "launched one kernel at a time, which is slower. Set training.cuda_graphs to "
                "false to switch this off",
                stacklevel=2,
            )
            return None
        self._pool = self._pool or graph.pool()
        return CapturedStep(graph, static, weight, rate, sums)


def rounded(batch: Batch, source_pad: int, target_pad: int) -> Batch:
    """The batch with its lengths rounded up to a multiple of `MULTIPLE`, filled with padding."""
    source = padded(batch.source, source_pad)
    shared = batch.target is batch.source
    target = source if shared else padded(batch.target, target_pad)
    return replace(batch, source=source, target=target, longest=up(batch.longest))


def padded(tokens: Tokens, pad_id: int) -> Tokens:
    """Tokens (B, T) with T rounded up."""
    missing = up(tokens.ids.size(1)) - tokens.ids.size(1)
    ids = torch.nn.functional.pad(tokens.ids, (0, missing), value=pad_id)
    return replace(tokens, ids=ids)


def up(length: int) -> int:
    """The next multiple of `MULTIPLE`.

    >>> [up(length) for length in (1, 8, 9)]
    [8, 8, 16]
    """
    return -(-length // MULTIPLE) * MULTIPLE


def cloned(tokens: Tokens) -> Tokens:
    """A copy with tensors of its own."""
    vectors = None if tokens.vectors is None else tokens.vectors.clone()
    return Tokens(tokens.ids.clone(), tokens.lengths.clone(), vectors)


def copy_tokens(tokens: Tokens, into: Tokens) -> None:
    """Write tokens into tensors of the same shape."""
    into.ids.copy_(tokens.ids)
    into.lengths.copy_(tokens.lengths)
    if into.vectors is not None and tokens.vectors is not None:
        into.vectors.copy_(tokens.vectors)
