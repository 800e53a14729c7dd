"""The loss of the head on labels: z must predict the label of a sentence that has one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from textvae.data.batches import NO_LABEL
from textvae.models.label_head import LabelHead


def label_nll(head: LabelHead, z: Tensor, labels: Tensor, sizes: Sequence[int]) -> Tensor:
    """-log p(y|z) of each sentence in nats, (B,); 0 for a sentence without a label.

    Args:
        z: (B, Z).
        labels: the place of each label among the classes, or NO_LABEL, (B,) int64.
        sizes: the loss is the mean over the first k dimensions of z, for each k here.
    """
    losses = [
        F.cross_entropy(head(z[:, :k]), labels, ignore_index=NO_LABEL, reduction="none")
        for k in sizes
    ]
    return torch.stack(losses).mean(0)
