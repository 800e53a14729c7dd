"""The device that a name means on this machine, and the memory of a CPU."""

from __future__ import annotations

import ctypes
import os
import sys

import torch

from textvae.errors import UsageError


def choose_device(name: str) -> torch.device:
    """The device that `auto`, cpu, cuda, cuda:1 or mps means on this machine.

    Raises:
        UsageError: it is not there.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"device {name!r} is unknown; try auto, cpu, cuda or cuda:0") from None
    present = {
        "cpu": 1,
        "cuda": torch.cuda.device_count(),
        "mps": int(torch.backends.mps.is_available()),
    }
    if (device.index or 0) >= present.get(device.type, 0):
        raise UsageError(f"device {name!r} is not on this machine; try --device auto or cpu")
    return device


M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4  # of mallopt(3)
LARGE = 1 << 30


def reuse_freed_memory() -> bool:
    """Let the process keep large blocks that it freed, instead of returning them to the system.

    By default glibc hands each freed block of over 32 MiB back, and the next step pays for
    its pages again: logits over 10,000 words made a training step take 1.8 times as long.
    It holds for the whole process; False where there is no glibc or where the environment
    has settings of its own (MALLOC_...).
    """
    if sys.platform != "linux" or any(name.startswith("MALLOC_") for name in os.environ):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # another C library
        return False
    # Older versions refuse a threshold above 32 MiB, but not to do without mmap.
    kept = mallopt(M_MMAP_THRESHOLD, LARGE) or mallopt(M_MMAP_MAX, 0)
    return bool(kept and mallopt(M_TRIM_THRESHOLD, LARGE))
