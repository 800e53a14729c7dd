"""The bag-of-words loss: z alone must predict the words of a sentence, in any order."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from textvae.data.batches import Tokens


class BagOfWords(nn.Module):
    """A linear layer from z to the vocabulary; belongs to the loss, not to the model.

    Zhao 2017, section 3.2; the network there also has a hidden layer.
    """

    def __init__(self, latent_size: int, vocab_size: int) -> None:
        super().__init__()
        self.words = nn.Linear(latent_size, vocab_size)

    def forward(self, target: Tokens, z: Tensor) -> Tensor:
        """-sum_t log p(x_t|z) of each sentence, end token included, in nats, (B,); z (B, Z)."""
        log_probs = torch.log_softmax(self.words(z).float(), dim=-1)  # (B, V)
        return -(log_probs.gather(1, target.ids) * target.mask).sum(1)
