"""The contrastive loss: two encodings of a sentence should be closer than different sentences."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def contrastive_nll(a: Tensor, b: Tensor, temperature: float) -> Tensor:
    """-log p(b_i | a_i) of each sentence in nats, shape (B,): the NLL of the matching code.

    p(b_j | a_i) is proportional to exp(cos(a_i, b_j) / temperature). If a and b (B, Z) encode the
    same sentences with two draws of dropout or noise, this is the unsupervised loss of Gao 2021,
    eq. 4. The loss is log B if all codes are alike, and 0 for a single sentence.
    """
    # bf16 is too coarse for cosines divided by 0.05.
    with torch.autocast(a.device.type, enabled=False):
        cosines = F.normalize(a.float(), dim=-1) @ F.normalize(b.float(), dim=-1).T  # (B, B)
        own = torch.arange(len(a), device=a.device)
        return F.cross_entropy(cosines / temperature, own, reduction="none")
