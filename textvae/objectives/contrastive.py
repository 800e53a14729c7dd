"""The contrastive loss: two readings of a sentence are nearer to each other than to others."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def contrastive_nll(a: Tensor, b: Tensor, temperature: float) -> Tensor:
    """-log of the share of b_i among b_1 .. b_B for each a_i, in nats, shape (B,).

    The weight of b_j is exp(cos(a_i, b_j) / temperature). With a and b (B, Z) the codes of the
    same sentences under two draws of dropout or noise it is the unsupervised loss of Gao 2021,
    eq. 4; at most log B where the codes tell nothing apart, and 0 for a single sentence.
    """
    # Cosines that are divided by 0.05 lose too many digits in bf16.
    with torch.autocast(a.device.type, enabled=False):
        cosines = F.normalize(a.float(), dim=-1) @ F.normalize(b.float(), dim=-1).T  # (B, B)
        own = torch.arange(len(a), device=a.device)
        return F.cross_entropy(cosines / temperature, own, reduction="none")
