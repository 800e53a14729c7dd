"""The cores that this process may use, and how much of them other programs use."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

SAMPLES = 4
SAMPLE_SECONDS = 0.25
BUSY = ("user", "nice", "system", "irq", "softirq", "steal")  # of a core, as psutil names times
CGROUPS, OWN_CGROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


class OtherPrograms:
    """The load of cores by other programs than this process.

    Args:
        cores: their numbers.
    """

    def __init__(self, cores: Sequence[int]) -> None:
        self.cores = cores
        self._then = self._now()

    def load(self) -> tuple[float, float]:
        """The load since the last call, in cores, and the seconds since then."""
        before, self._then = self._then, self._now()
        busy, seconds = (now - then for now, then in zip(self._then, before, strict=True))
        return (busy / seconds if seconds > 0 else 0.0), seconds

    def samples(self) -> Iterator[float]:
        """The loads of short times in succession."""
        for _ in range(SAMPLES):
            time.sleep(SAMPLE_SECONDS)
            yield self.load()[0]

    def _now(self) -> tuple[float, float]:
        return busy_seconds(self.cores) - time.process_time(), time.monotonic()


def busy_seconds(cores: Sequence[int]) -> float:
    """Seconds in which the cores were at work since the system started, of all cores together.

    Work of low priority counts, and so does what a virtual machine waits for; 0 if the system does
    not say.
    """
    try:
        times = psutil.cpu_times(percpu=True)
    except (OSError, psutil.Error):
        return 0.0
    if max(cores) < len(times):  # else a container numbers its cores anew, and lists only its own
        times = [times[core] for core in cores]
    return sum(getattr(core, kind, 0.0) for core in times for kind in BUSY)


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
