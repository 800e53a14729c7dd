"""The semantic loss: the latent must predict the vector that a frozen encoder gives a sentence.

A sample of z that predicts the vector pays for each nat that the prediction needs. A posterior mean
pays hardly anything: a linear layer reads it however small it is beside the noise of the posterior.
Its information serves whoever reads means, such as a classifier, but may not reach the decoder.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from textvae.models.prefix_linear import PrefixLinear
from textvae.models.principal import PrincipalCode

SemanticLoss = Literal["cosine", "squared"]


class SemanticReadout(nn.Module):
    """A linear layer from the latent to the standardised encoder vector; belongs to the loss.

    A decoder that only rebuilds words fills the latent with words. This term keeps what the encoder
    knows in it, too; the same principle is in COSMOS 2025 and TextLDM 2026.

    Vectors are standardised as (v - mean) / scale, with `scale` the root mean squared distance from
    the mean, so that the losses do not depend on the encoder's scale or on a direction that all its
    vectors share.

    Args:
        latent_size: Z.
        width: H, the size of the encoder's vectors.
    """

    mean: Tensor  # (H,)
    scale: Tensor  # ()

    def __init__(self, latent_size: int, width: int) -> None:
        super().__init__()
        self.linear = PrefixLinear(latent_size, width)
        # A prediction of length about |z| / sqrt(3 Z), as standardised vectors have length 1.
        with torch.no_grad():
            self.linear.weight.mul_(width**-0.5)
            self.linear.bias.zero_()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(()))

    @torch.no_grad()
    def standardise(self, vectors: Tensor) -> None:
        """Take mean and scale from vectors of training sentences, (N, H)."""
        self.mean.copy_(vectors.float().mean(0))
        distances = (vectors.float() - self.mean).square().sum(1)
        scale = distances.mean().sqrt()
        self.scale.copy_(torch.where(scale > 0, scale, 1.0))

    @torch.no_grad()
    def start_from(self, code: PrincipalCode) -> None:
        """Predict from the means of a code as well as its components can; after `standardise`."""
        K = len(code.bias)
        rows = code.weight / code.weight.square().sum(1, keepdim=True)  # the inverse, (K, H)
        self.linear.weight.zero_()
        self.linear.weight[:, :K] = rows.T.to(self.scale) / self.scale
        self.linear.bias.zero_()

    def forward(
        self, z: Tensor, vectors: Tensor, sizes: Sequence[int], loss: SemanticLoss
    ) -> Tensor:
        """The loss of each sentence, (B,), without a gradient for the encoder's vectors.

        With r the prediction from z and v the standardised vector:

        - cosine: 1 - cos(r, v), from 0 to 2.
        - squared: |r - v|^2; its mean is the share of the variance of the encoder's vectors that z
          does not explain, 1 for a prediction that is always the mean.

        Args:
            z: posterior means or samples, (B, Z).
            vectors: (B, H).
            sizes: the loss is the mean over the first k dimensions of z, for each k here.
        """
        with torch.autocast(z.device.type, enabled=False):  # bf16 is too coarse for cosines
            target = (vectors.detach().float() - self.mean) / self.scale
            losses = [_distance(self.linear(z[:, :k].float()), target, loss) for k in sizes]
            return torch.stack(losses).mean(0)


def _distance(predicted: Tensor, target: Tensor, loss: SemanticLoss) -> Tensor:
    if loss == "cosine":
        return 1 - F.cosine_similarity(predicted, target, dim=-1)
    return (predicted - target).square().sum(1)
