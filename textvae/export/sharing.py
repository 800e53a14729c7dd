"""The processes that share the work, where a launcher started several."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from textvae.data.input_rows import Sentences, name_of
from textvae.errors import UsageError, worded

if TYPE_CHECKING:
    from textvae.training.processes import Processes

T = TypeVar("T")


class Alone:
    """The only process: it does all the work."""

    count = 1
    rank = 0
    is_main = True

    def from_main(self, value: T) -> T:
        """The value itself."""
        return value

    def wait(self) -> None:
        """Go on."""


def is_shared() -> bool:
    """True if `accelerate launch` or `torchrun` started several processes."""
    return int(os.environ.get("WORLD_SIZE") or 1) > 1


def check_shareable(sentences: Sentences) -> None:
    """Raise UsageError for an input that several processes cannot each read: stdin, or a stream."""
    if not isinstance(sentences, str | Path) or str(sentences) == "-":
        raise UsageError(
            f"{name_of(sentences)} cannot be shared by several processes; give "
            f"{worded('FILE and --out', 'the name of a file')}, or start one process"
        )


@contextmanager
def sharing(device: str) -> Iterator[tuple[Alone | Processes, str]]:
    """The processes, and the device of this process.

    >>> with sharing("auto") as (processes, device):  # doctest: +SKIP
    ...     vae = TextVAE.from_pretrained("runs/mine", device=device)
    ...     write_vectors(vae, "large.txt", "vectors.npy", processes=processes)
    """
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
