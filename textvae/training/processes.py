"""Communication between the processes of one run; with one process, there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from torch import Tensor

STEPS_BETWEEN_VOTES = 16  # asking costs a round trip, and on a GPU a wait

T = TypeVar("T")


class Processes:
    """The processes of a run, one of which is the main one."""

    def __init__(self, accelerator: Accelerator) -> None:
        self._accelerator = accelerator
        self.count: int = accelerator.num_processes
        self.rank: int = accelerator.process_index
        self.is_main: bool = accelerator.is_main_process

    def agree(self, mine: bool, step: int) -> bool:
        """The main process's answer; several processes ask at some steps only, else it is False."""
        if self.count == 1:
            return mine
        return step % STEPS_BETWEEN_VOTES == 0 and self.from_main(mine)

    def from_main(self, value: T) -> T:
        """The main process's value."""
        if self.count == 1:
            return value
        received: list[T] = broadcast_object_list([value])
        return received[0]

    def sum(self, values: Tensor) -> Tensor:
        """The sum of `values` over all processes, which must all call; gradients flow to all."""
        if self.count == 1:
            return values
        return SumOverProcesses.apply(values, self._reduce)  # type: ignore[no-untyped-call]

    def _reduce(self, values: Tensor) -> Tensor:
        return self._accelerator.reduce(values, reduction="sum")

    def wait(self) -> None:
        """Wait until every process has come this far."""
        if self.count == 1:
            return
        # Accelerate's own barrier names a GPU by the process, even if all processes use the CPU.
        device = self._accelerator.device
        torch.distributed.barrier(device_ids=[device.index] if device.type == "cuda" else None)

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """In this context the other processes start when the main process has finished."""
        if not self.is_main:
            self.wait()
        yield
        if self.is_main:
            self.wait()


class SumOverProcesses(torch.autograd.Function):
    """A sum over processes. A value on one process affects the loss on all, so gradients add up."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, reduce: Callable[[Tensor], Tensor]) -> Tensor:
        """The sum."""
        ctx.reduce = reduce
        return reduce(values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """The sum of the gradients."""
        return ctx.reduce(gradients[0].contiguous()), None


class RunningSums:
    """Named sums over steps and processes, kept on the device so that no step waits for the host.

    Args:
        device: where the sums are kept.
        processes: whose sums are added up.
        sums: the sums so far, of a resumed run.
    """

    def __init__(
        self, device: torch.device, processes: Processes, sums: dict[str, float] | None = None
    ) -> None:
        self._device = device
        self._processes = processes
        self._sums = {key: self._accumulator(value) for key, value in (sums or {}).items()}

    def add(self, values: dict[str, Tensor | float]) -> None:
        """Add the sums of one step."""
        for key, value in values.items():
            if key not in self._sums:
                self._sums[key] = self._accumulator(0.0)
            self._sums[key] += value

    def total(self) -> dict[str, float]:
        """The sums over all processes; the host waits for the device."""
        keys = self._processes.from_main(list(self._sums))
        if not keys:
            return {}
        mine = torch.stack([self._sums.get(key, self._accumulator(0.0)) for key in keys])
        return dict(zip(keys, self._processes.sum(mine).tolist(), strict=True))

    def clear(self) -> None:
        """Start again from nothing."""
        self._sums = {}

    def _accumulator(self, value: float) -> Tensor:
        dtype = torch.float32 if self._device.type == "mps" else torch.float64
        return torch.tensor(value, dtype=dtype, device=self._device)
