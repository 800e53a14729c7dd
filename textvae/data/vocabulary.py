"""The ids that a network needs to know of a tokenizer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Vocabulary:
    """How many tokens there are, and the ids of the special ones."""

    size: int
    pad_id: int
    bos_id: int
    eos_id: int
