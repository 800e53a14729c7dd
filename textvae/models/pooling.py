"""Pooling: the states of a sentence -> one vector."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from textvae.data.batches import Tokens


class Pooling(nn.Module):
    """Pools states (B, T, H) to one vector per sentence (B, H); ignores padding.

    - last: the state of the end token; for backward states, the state of the first token.
    - mean, max: over the sentence. Max separates sentences whose mean states are similar
      (Long 2019).
    - attention: a learned weighted mean (Lin 2017, with one head).
    """

    def __init__(self, kind: str, width: int, backward_width: int = 0) -> None:
        super().__init__()
        self.kind = kind
        self.backward_width = backward_width  # the last features are the backward states
        self.score = nn.Linear(width, 1) if kind == "attention" else None

    def forward(self, states: Tensor, tokens: Tokens) -> Tensor:
        """Pooled states, shape (B, H)."""
        if self.kind == "last":
            return self._last(states, tokens)
        mask = tokens.mask[:, :, None]  # (B, T, 1)
        if self.kind == "max":
            return states.masked_fill(~mask, float("-inf")).amax(1)
        if self.score is not None:
            weights = self.score(states).masked_fill(~mask, float("-inf")).softmax(1)
        else:
            weights = mask.to(states.dtype) / tokens.lengths[:, None, None].to(states.dtype)
        return (states * weights).sum(1)

    def _last(self, states: Tensor, tokens: Tokens) -> Tensor:
        rows = torch.arange(len(tokens), device=states.device)
        ahead = states[rows, tokens.lengths - 1]
        if not self.backward_width:
            return ahead
        kept = states.size(-1) - self.backward_width
        return torch.cat([ahead[:, :kept], states[:, 0, kept:]], dim=-1)
