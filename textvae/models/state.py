"""The state of a decoder between two tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeVar

from torch import Tensor

S = TypeVar("S", bound="State")


class State(Protocol):
    """All that a decoder remembers of N sentences, one row each."""

    def rows(self: S, index: Tensor) -> S:
        """The state of some of the sentences, by their places (M,); a place may repeat."""


@dataclass(frozen=True, eq=False)  # tensors have no single truth value
class TensorState:
    """A state that is a tuple of tensors, the sentences in axis 0 of each."""

    tensors: tuple[Tensor, ...]

    def rows(self, index: Tensor) -> TensorState:
        """The state of some of the sentences, by their places (M,)."""
        return TensorState(tuple(tensor[index] for tensor in self.tensors))
