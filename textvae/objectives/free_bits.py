"""Free bits: the loss does not penalise the KL below a floor, so that the latent is used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

FreeBitsMode = Literal["dimension", "total", "batch"]


def free_bits_kl(
    kl: Tensor,
    floor: float,
    mode: FreeBitsMode,
    *,
    total: int,
    sum_over_processes: Callable[[Tensor], Tensor] = lambda x: x,
) -> Tensor:
    """The penalised KL of each sentence, shape (B,), from the KL per dimension (B, Z), in nats.

    - dimension: sum_d max(floor, KL_d(x)) (Li 2019, section 3.2).
    - total: max(floor, KL(x)).
    - batch: sum_d max(floor, mean over the batch of KL_d) (Kingma 2016, eq. 15); a dimension
      with a mean below the floor gets no gradient.

    `total` is the number of sentences in the global batch, over all processes.
    """
    if floor == 0.0:
        return kl.sum(1)
    if mode == "dimension":
        return kl.clamp(min=floor).sum(1)
    if mode == "total":
        return kl.sum(1).clamp(min=floor)
    mean = sum_over_processes(kl.detach().sum(0)) / total  # (Z,)
    return torch.where(mean > floor, kl, floor).sum(1)
