"""How many threads a training on a CPU has by default: as many as there are cores to be had.

Threads that share their cores with another program wait for each other after each operation: beside
one busy program, two threads on two cores are slower than one. The number of threads decides how
sums are rounded, so it is chosen once, before the first step, and a resumed run keeps it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Sequence

import torch

from textvae.config import TrainingConfig
from textvae.errors import option
from textvae.number_format import counted
from textvae.training.cores import OtherPrograms, allowed_cores, cgroup_cores

CHOSEN_BY_USER = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")  # as torch reads them
CROWDED_SECONDS = 60  # before a run is advised to go on with fewer threads


def take_free_cores(
    training: TrainingConfig, device: torch.device, message: Callable[[str], None]
) -> None:
    """Give torch the threads of a new run, and say so if they are fewer than its own default.

    Nothing changes if the number was chosen: by the configuration, the environment or a launcher.
    """
    most = torch.get_num_threads()
    if most == 1 or device.type != "cpu" or is_chosen(training):
        return
    allowed, limit = allowed_cores(), cgroup_cores()
    taken = taken_cores(OtherPrograms(allowed).samples())
    threads, reason = threads_beside(most, taken=taken, cores=len(allowed), limit=limit)
    if threads < most:
        torch.set_num_threads(threads)
        message(f"{threads} of {most} threads: {reason}; {option('threads', most)} overrides")


def take_cores_as_before(
    training: TrainingConfig,
    device: torch.device,
    threads: int | None,
    message: Callable[[str], None],
) -> None:
    """Give torch the threads that a resumed run had, so that its sums are rounded as before.

    Args:
        threads: their number; None: it is not known.
    """
    here = torch.get_num_threads()
    if threads is None or device.type != "cpu" or is_chosen(training):
        return
    torch.set_num_threads(threads)
    if threads > here:
        message(
            f"{counted(threads, 'thread')}, as this run had before; this machine has only "
            f"{counted(here, 'core')}, and {option('threads', here)} may be faster"
        )


def watch_for_crowds(training: TrainingConfig, device: torch.device) -> CrowdedRun | None:
    """A watch over the cores of a run; None if it has one thread, or a number that was chosen."""
    threads = torch.get_num_threads()
    if threads == 1 or device.type != "cpu" or is_chosen(training):
        return None
    return CrowdedRun(threads, allowed_cores())


def is_chosen(training: TrainingConfig) -> bool:
    """True if the user or a launcher of processes has decided on the number of threads."""
    if training.threads is not None or "LOCAL_RANK" in os.environ:
        return True
    return any(os.environ.get(name) for name in CHOSEN_BY_USER)


def threads_beside(most: int, *, taken: int, cores: int, limit: int | None) -> tuple[int, str]:
    """The number of threads, at least 1, and the reason if they are fewer than `most`.

    Args:
        taken: how many of the `cores` other programs use.
        limit: cores that the control group allows; None: no limit.

    >>> threads_beside(2, taken=1, cores=2, limit=None)
    (1, 'other programs are using 1 of 2 cores')
    >>> threads_beside(4, taken=1, cores=8, limit=None)  # hyper-threads: 7 are left for 4 threads
    (4, '')
    """
    free, of = max(cores - taken, 1), counted(cores, "core")
    if limit is not None and limit < min(most, free):
        return limit, f"a control group limits this process to {counted(limit, 'core')}"
    if free < most:
        used = f"other programs are using {taken} of {of}"
        return free, used if taken else f"this process may run on {of} only"
    return most, ""


def taken_cores(samples: Iterable[float]) -> int:
    """How many cores are taken in every sample; the first sample with none ends the sampling.

    Args:
        samples: the load of all cores by other programs, in cores.

    >>> taken_cores([0.9, 1.2]), taken_cores([2.0, 0.4])
    (1, 0)
    """
    fewest: int | None = None
    for load in samples:
        fewest = cores_of(load) if fewest is None else min(fewest, cores_of(load))
        if fewest == 0:
            break
    return fewest or 0


def cores_of(load: float) -> int:
    """How many cores a load takes; half a core or less is left to share.

    A program may move from core to core, so it is the load of all cores together that counts.
    """
    return max(math.ceil(load - 0.5), 0)


class CrowdedRun:
    """Says once that other programs have taken cores from a run that had them at its start.

    Args:
        threads: of the run.
        cores: that it may run on.
    """

    def __init__(self, threads: int, cores: Sequence[int]) -> None:
        self._threads, self._others, self._n_cores = threads, OtherPrograms(cores), len(cores)
        self._seconds = 0.0

    def look(self) -> str | None:
        """Advice, if it is due now."""
        return self.judge(*self._others.load())

    def judge(self, load: float, seconds: float) -> str | None:
        """Advice, if with these seconds, at a load in cores, the run was crowded for long."""
        taken = cores_of(load)
        threads, used = threads_beside(self._threads, taken=taken, cores=self._n_cores, limit=None)
        before = self._seconds
        if before >= CROWDED_SECONDS:  # said
            return None
        self._seconds = before + seconds if threads < self._threads else 0.0
        if self._seconds < CROWDED_SECONDS:
            return None
        return (
            f"{used}, for {CROWDED_SECONDS} seconds now; if they go on, interrupt the run and "
            f"resume it with {option('threads', threads)}"
        )
