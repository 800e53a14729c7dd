"""What the processes of one run tell each other; with one process, nothing."""

from __future__ import annotations

from collections.abc import Callable
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
        """What the main process says; with several, asked every few steps only."""
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
        """`values` added up over all processes, each of which must ask; gradients flow to all."""
        if self.count == 1:
            return values
        return SumOverProcesses.apply(values, self._reduce)  # type: ignore[no-untyped-call]

    def _reduce(self, values: Tensor) -> Tensor:
        return self._accelerator.reduce(values, reduction="sum")

    def wait(self) -> None:
        """Go on when all have come this far."""
        self._accelerator.wait_for_everyone()


class SumOverProcesses(torch.autograd.Function):
    """A sum over processes. What one of them holds moves the losses of all, so gradients add up."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, reduce: Callable[[Tensor], Tensor]) -> Tensor:
        """The sum."""
        ctx.reduce = reduce
        return reduce(values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """The sum of the gradients."""
        return ctx.reduce(gradients[0].contiguous()), None
