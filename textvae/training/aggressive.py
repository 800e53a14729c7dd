"""Aggressive training of an encoder that lags behind its decoder."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from textvae.errors import shown
from textvae.training.optimizer import Part
from textvae.training.processes import Processes, RunningSums

WINDOW = 10  # encoder updates whose loss is compared with that of as many before
MOST = 100  # encoder updates before one of the decoder


def _is_real(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _are_sums(value: object) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() <= {"loss", "tokens"}
        and all(map(_is_real, value.values()))
    )


_STATE: dict[str, Callable[[Any], bool]] = {  # a test of each of its values
    "active": lambda value: isinstance(value, bool),
    "mi": lambda value: value is None or _is_real(value),
    "updates": lambda value: type(value) is int and 0 <= value <= MOST,
    "decoder_is_due": lambda value: isinstance(value, bool),
    "before": lambda value: value is None or _is_real(value),
    "window": _are_sums,
}


class Aggressive:
    """Which half of the model a step trains, until mutual information stops rising.

    He 2019, algorithm 1: the encoder alone is updated until the loss per token of WINDOW updates no
    longer falls (at most MOST updates), then the decoder alone, once. Every update is a step with
    the next batch of the epoch, so limits and schedules count all of them. The phase ends at the
    first evaluation whose `mi` is not above that of the evaluation before, section 4.2;
    evaluations while the weight of the KL still rises do not count.

    Args:
        device: where sums are kept.
        processes: whose sums are added up.
    """

    def __init__(self, device: torch.device, processes: Processes) -> None:
        self._device, self._processes = device, processes
        self._active = True
        self._mi: float | None = None
        self._updates = 0  # of the encoder, in this round
        self._before: float | None = None  # loss a token of the WINDOW updates before
        self._decoder_is_due = False
        self._window = RunningSums(device, processes)

    @property
    def part(self) -> Part:
        """The part of the model that the next step trains."""
        if not self._active:
            return "model"
        return "decoder" if self._decoder_is_due else "encoder"

    def observe(self, loss: Tensor, tokens: Tensor) -> None:
        """Take in the loss of a step, summed over local sentences, and their tokens."""
        if not self._active:
            return
        if self._decoder_is_due:
            self._updates, self._before, self._decoder_is_due = 0, None, False
            self._window.clear()
            return
        self._updates += 1
        self._window.add({"loss": loss, "tokens": tokens})
        if self._updates % WINDOW == 0:
            sums = self._window.total()
            self._window.clear()
            if not sums["tokens"]:  # none of these updates was finite
                return
            mean = sums["loss"] / sums["tokens"]
            self._decoder_is_due = self._before is not None and not mean < self._before
            self._before = mean
        self._decoder_is_due |= self._updates >= MOST

    def judge(self, mi: float) -> bool:
        """Take in the mutual information of an evaluation; True if it ends the phase."""
        if not self._active:
            return False
        self._active = self._mi is None or mi > self._mi
        self._mi = mi
        return not self._active

    def state(self) -> dict[str, Any]:
        """All that a resumed run needs; the host waits for the device."""
        return {
            "active": self._active,
            "mi": self._mi,
            "updates": self._updates,
            "decoder_is_due": self._decoder_is_due,
            "before": self._before,
            "window": self._window.total(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of `state`; the sums go to the main process.

        Raises:
            ValueError: `state` is not one of these.
        """
        if not state:
            return
        if wrong := [name for name, right in _STATE.items() if not right(state.get(name))]:
            raise ValueError(f"aggressive.{wrong[0]} is {shown(state.get(wrong[0]))}")
        self._active, self._mi = state["active"], state["mi"]
        self._updates, self._before = state["updates"], state["before"]
        self._decoder_is_due = state["decoder_is_due"]
        sums = state["window"] if self._processes.is_main else None
        self._window = RunningSums(self._device, self._processes, sums)
