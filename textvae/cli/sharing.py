"""The processes that share a command's work, where a launcher started several."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from textvae.training.processes import Processes

T = TypeVar("T")


class Alone:
    """A process that shares its work with no other."""

    count = 1
    rank = 0
    is_main = True

    def from_main(self, value: T) -> T:
        """The value itself."""
        return value

    def wait(self) -> None:
        """Go on."""


def is_shared() -> bool:
    """Whether `accelerate launch` or `torchrun` started several processes."""
    return int(os.environ.get("WORLD_SIZE") or 1) > 1


@contextmanager
def sharing(device: str) -> Iterator[tuple[Alone | Processes, str]]:
    """The processes at work, and the device of this one among those that `device` means."""
    if not is_shared():
        yield Alone(), device
        return
    # Here and not above: accelerate takes a second to import.
    from textvae.config import TrainingConfig
    from textvae.training.accelerator import accelerator_for
    from textvae.training.processes import Processes

    with accelerator_for(TrainingConfig(device=device, precision="float32")) as accelerator:
        own = accelerator.device  # of a CPU it has an index too, which no loader of weights knows
        yield Processes(accelerator), own.type if own.type == "cpu" else str(own)
