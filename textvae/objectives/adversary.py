"""The adversary of an adversarial autoencoder: a discriminator of codes and prior samples."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

HIDDEN = 512


class Discriminator(nn.Module):
    """The logit (B,) that z (B, Z) comes from the prior; one hidden layer, as in Shen 2020."""

    def __init__(self, latent_size: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(latent_size, HIDDEN)
        self.logit = nn.Linear(HIDDEN, 1)

    def forward(self, z: Tensor) -> Tensor:
        """The logits."""
        return self.logit(F.relu(self.hidden(z)))[:, 0].float()


def discriminator_loss(discriminator: Discriminator, z: Tensor, prior: Tensor) -> Tensor:
    """-log D(prior) - log(1 - D(z)) of each sentence, (B,), without a gradient for z.

    Goodfellow 2014, eq. 1; Makhzani 2016, section 2.
    """
    return F.softplus(-discriminator(prior)) + F.softplus(discriminator(z.detach()))


def encoder_loss(discriminator: Discriminator, z: Tensor) -> Tensor:
    """-log D(z) of each sentence, (B,), with a gradient for z but not for the discriminator.

    The non-saturating loss of Goodfellow 2014, section 3.
    """
    frozen = {name: value.detach() for name, value in discriminator.named_parameters()}
    return F.softplus(-functional_call(discriminator, frozen, (z,)))
