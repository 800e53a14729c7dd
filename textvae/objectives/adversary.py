"""The adversary of an adversarial autoencoder: it tells codes from samples of the prior."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

HIDDEN = 512


class Discriminator(nn.Module):
    """Logit (B,) that z (B, Z) was drawn from the prior: one hidden layer, as in Shen 2020."""

    def __init__(self, latent_size: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(latent_size, HIDDEN)
        self.logit = nn.Linear(HIDDEN, 1)

    def forward(self, z: Tensor) -> Tensor:
        """The logits."""
        return self.logit(F.relu(self.hidden(z)))[:, 0].float()


def discriminator_loss(discriminator: Discriminator, z: Tensor, prior: Tensor) -> Tensor:
    """-log D(prior) - log(1 - D(z)) of each sentence, (B,): its gradient does not reach z.

    Goodfellow 2014, eq. 1; Makhzani 2016, section 2.
    """
    return F.softplus(-discriminator(prior)) + F.softplus(discriminator(z.detach()))


def encoder_loss(discriminator: Discriminator, z: Tensor) -> Tensor:
    """-log D(z) of each sentence, (B,): its gradient reaches z and not the discriminator.

    Goodfellow 2014, section 3: it does not saturate while the discriminator wins.
    """
    frozen = {name: value.detach() for name, value in discriminator.named_parameters()}
    return F.softplus(-functional_call(discriminator, frozen, (z,)))
