"""How many threads a training on a CPU has by default: as many as there are cores to be had.

Threads that share their cores with another program wait for each other after each operation: beside
one busy program, two threads on two cores are slower than one. The number of threads decides how
sums are rounded, so it is chosen once, before the first step, and a resumed run keeps it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import psutil
import torch

from textvae.config import TrainingConfig
from textvae.errors import option
from textvae.number_format import counted

SAMPLES = 4  # a core is taken if it is in each of them, so a short burst of work takes none
SAMPLE_SECONDS = 0.25
CHOSEN_BY_USER = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")  # as torch reads them
CGROUPS, OWN_CGROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


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
    taken = taken_cores(core_loads(allowed))
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


def taken_cores(samples: Iterable[Sequence[float]]) -> int:
    """How many cores are taken in every sample; the first sample with none ends the sampling.

    A core is taken if it is busy for more than half of the time. A program may move from core to
    core, so the loads of all cores are added up.

    Args:
        samples: for each sample, the load of each core, from 0 to 1.

    >>> taken_cores([[0.5, 0.5], [0.9, 0.0]]), taken_cores([[1.0, 1.0], [0.3, 0.1]])
    (1, 0)
    """
    fewest: int | None = None
    for loads in samples:
        taken = math.ceil(sum(loads) - 0.5)
        fewest = taken if fewest is None else min(fewest, taken)
        if fewest <= 0:
            break
    return max(fewest or 0, 0)


def core_loads(allowed: Sequence[int]) -> Iterator[list[float]]:
    """Samples of the load of the allowed cores, from 0 to 1; none if the system does not say.

    This process sleeps meanwhile, so the load is that of other programs.
    """
    for _ in range(SAMPLES):
        try:
            percents = psutil.cpu_percent(SAMPLE_SECONDS, percpu=True)
        except (OSError, psutil.Error):
            return
        # A container may number its cores anew; then all that are listed are its own.
        own = allowed if max(allowed) < len(percents) else range(len(percents))
        yield [percents[core] / 100 for core in own]


def allowed_cores() -> list[int]:
    """The cores that this process may run on, by number."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def cgroup_cores(root: Path = CGROUPS, own: Path = OWN_CGROUPS) -> int | None:
    """Cores that the control groups of this process allow, rounded up; None: no limit.

    Of version 2, `cpu.max`; of version 1, `cpu.cfs_quota_us`. Each group above limits, too.
    """
    limits = [limit for folder in cgroup_folders(root, own) if (limit := quota(folder)) is not None]
    return max(math.ceil(min(limits)), 1) if limits else None


def cgroup_folders(root: Path, own: Path) -> Iterator[Path]:
    """The folders of the control groups of this process that can limit its cores.

    Inside a container the group is often the root itself, whatever its name is outside.
    """
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        _, controllers, name = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = root / controllers
        group = top / name.lstrip("/")
        yield from (f for f in (group, *group.parents) if f == top or top in f.parents)


def quota(folder: Path) -> float | None:
    """Cores that one control group allows; None: no limit, or no such folder."""
    for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        try:
            text = " ".join((folder / name).read_text(encoding="utf-8") for name in names)
            allowed, period = map(int, text.split())
        except (OSError, ValueError):  # "max" is no number
            continue
        return allowed / period if allowed > 0 and period > 0 else None
    return None
