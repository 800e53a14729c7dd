"""The head on labels: the latent of a sentence -> the probability of each class."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from textvae.models.part import Part
from textvae.models.prefix_linear import PrefixLinear

MOST_CLASSES = 10_000


class LabelHead(Part):
    """p(y|z) = softmax(W z + b): the classifier that is trained with the model.

    Kingma 2014 (semi-supervised learning), where sentences with and without a label train one
    model. The label is read off z here, and the decoder does not see it.

    Args:
        latent_size: Z.
        classes: the C labels, all distinct.
    """

    def __init__(self, latent_size: int, classes: Sequence[str]) -> None:
        super().__init__()
        self.classes = tuple(classes)
        self.linear = PrefixLinear(latent_size, len(classes))

    def forward(self, z: Tensor) -> Tensor:
        """The logit of each class, (B, C), for z (B, Z) or the first k dimensions of z, (B, k)."""
        logits: Tensor = self.linear(z)
        return logits
