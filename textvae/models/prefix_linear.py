"""A linear layer that reads the first dimensions of a vector as well as the whole vector."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class PrefixLinear(nn.Linear):
    """W[:, :k] x + b for x (B, k), with any k up to the number of input dimensions.

    All prefixes of a vector share their weights, so that the dimensions after the first k refine
    the output of the first k: the efficient variant of nested dimensions (MRL-E, Kusupati 2022,
    section 3).
    """

    def forward(self, x: Tensor) -> Tensor:
        """The output of each row, in float32, (B, output size)."""
        return F.linear(x, self.weight[:, : x.size(-1)], self.bias).float()
