"""The device that a name means on this machine."""

from __future__ import annotations

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
