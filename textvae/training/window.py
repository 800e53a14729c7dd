"""Sums between two log lines, kept on the device so that no step waits for the host."""

from __future__ import annotations

import torch
from torch import Tensor

from textvae.training.processes import Processes


class Window:
    """Named sums over the steps since the last report.

    Args:
        device: where the sums are kept.
        processes: whose sums are added up.
        sums: what a resumed run had already.
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
        """The sums of all processes; this is where the host waits for the device."""
        keys = self._processes.from_main(list(self._sums))
        if not keys:
            return {}
        mine = torch.stack([self._sums.get(key, self._accumulator(0.0)) for key in keys])
        return dict(zip(keys, self._processes.sum(mine).tolist(), strict=True))

    def clear(self) -> None:
        """Begin anew."""
        self._sums = {}

    def _accumulator(self, value: float) -> Tensor:
        dtype = torch.float32 if self._device.type == "mps" else torch.float64
        return torch.tensor(value, dtype=dtype, device=self._device)
