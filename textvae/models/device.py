"""Choice of the device by name, and a memory setting for CPUs."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from textvae.errors import UsageError, worded


def choose_device(name: str) -> torch.device:
    """The device for a name: auto, cpu, cuda, cuda:1 or mps.

    Raises:
        UsageError: this machine has no such device.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"unknown device {name!r}; try auto, cpu, cuda or cuda:0") from None
    present = {
        "cpu": 1,
        "cuda": torch.cuda.device_count(),
        "mps": int(torch.backends.mps.is_available()),
    }
    if (device.index or 0) >= present.get(device.type, 0):
        tries = worded("--device auto or cpu", "device='auto' or 'cpu'")
        raise UsageError(f"this machine has no device {name!r}; try {tries}")
    return device


def double_device(device: torch.device) -> torch.device:
    """The device for float64 numbers beside a model: the CPU beside MPS, which has no float64."""
    return torch.device("cpu") if device.type == "mps" else device


@contextmanager
def exact_float32(device: torch.device) -> Iterator[None]:
    """In this context a GPU multiplies float32 numbers in full precision, not in TF32.

    By default cuDNN's recurrent networks use TF32, whose fractions have 10 bits: vectors on an
    H200 then differed by 1.4e-4 from those on a CPU, and by 2.6e-5 with the batch.
    """
    with float32_products(device, tf32=False):
        yield


@contextmanager
def float32_products(device: torch.device, *, tf32: bool) -> Iterator[None]:
    """In this context a GPU multiplies float32 numbers in TF32, or not."""
    if device.type != "cuda":
        yield
        return
    backends: tuple[Any, ...] = (torch.backends.cudnn, torch.backends.cuda.matmul)
    before = [backend.allow_tf32 for backend in backends]
    for backend in backends:
        backend.allow_tf32 = tf32
    try:
        yield
    finally:
        for backend, value in zip(backends, before, strict=True):
            backend.allow_tf32 = value


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the CPU on a device; the program does not wait for the copy to a GPU."""
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4  # see mallopt(3)
LARGE = 1 << 30


def reuse_freed_memory() -> bool:
    """Keep large freed blocks in the process; True if this setting was made.

    By default glibc returns each freed block of over 32 MiB to the system, and the next training
    step has to map new pages: with logits over 10,000 words a step took 1.8 times as long. The
    setting holds for the whole process. False without glibc, or if the environment sets MALLOC_...
    variables of its own.
    """
    if sys.platform != "linux" or any(name.startswith("MALLOC_") for name in os.environ):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # another C library
        return False
    # Older versions refuse a threshold above 32 MiB, but accept turning mmap off.
    kept = mallopt(M_MMAP_THRESHOLD, LARGE) or mallopt(M_MMAP_MAX, 0)
    return bool(kept and mallopt(M_TRIM_THRESHOLD, LARGE))
