"""The state of a decoder between two tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeVar

from torch import Tensor

S = TypeVar("S", bound="State")


class State(Protocol):
    """The state of a decoder for N sentences, one row per sentence."""

    def rows(self: S, index: Tensor) -> S:
        """The state of the sentences at the indices `index` (M,), which may repeat."""


@dataclass(frozen=True, eq=False)  # tensors have no single truth value
class TensorState:
    """A state made of tensors; axis 0 of each is the sentences."""

    tensors: tuple[Tensor, ...]

    def rows(self, index: Tensor) -> TensorState:
        """The state of the sentences at the indices `index` (M,)."""
        return TensorState(tuple(tensor[index] for tensor in self.tensors))
