"""A linear layer of many outputs as one product, for inference on a CPU.

`F.linear` with a bias first copies the bias into each row of the output. Over 10,000 words this
took 15 to 29 % of the product. As one more column of the weight, the bias takes 3 %.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

ALIGNED = 8  # a product is fastest if the width of its rows is a multiple of this number


@dataclass(frozen=True, eq=False)  # tensors have no single truth value
class FoldedLinear:
    """x @ weight.T + bias, from a copy of the weight that holds the bias as one more column.

    The copy does not follow later changes of the weight: form a new one for each call.
    """

    weight: Tensor  # (V, K): E columns, the bias, and zeros up to a multiple of ALIGNED

    @classmethod
    def of(cls, weight: Tensor, bias: Tensor) -> FoldedLinear:
        """The layer of a weight (V, E) and a bias (V,), of which some may be -inf."""
        V, E = weight.size()
        folded = weight.new_zeros(V, (E // ALIGNED + 1) * ALIGNED)
        folded[:, :E], folded[:, E] = weight, bias
        return cls(folded)

    def __call__(self, x: Tensor) -> Tensor:
        """The outputs (N, V) of x (N, E)."""
        N, E = x.size()
        extended = x.new_zeros(N, self.weight.size(1))
        extended[:, :E], extended[:, E] = x, 1.0
        return F.linear(extended, self.weight)


def gains(weight: Tensor) -> bool:
    """True where a folded layer is faster: without a gradient, in float32, on a CPU."""
    plain = weight.device.type == "cpu" and weight.dtype == torch.float32
    return plain and not torch.is_grad_enabled() and not torch.is_autocast_enabled("cpu")
