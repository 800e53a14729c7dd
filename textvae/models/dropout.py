"""Dropout of states and of words, by the noise of a training step."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from textvae.config import ModelConfig
from textvae.randomness.noise import StepNoise


def dropout(x: Tensor, rate: float, noise: StepNoise | None, *, shared: bool = False) -> Tensor:
    """Inverted dropout of (B, T, H) states; `shared` keeps one mask for all steps.

    Srivastava 2014; with one mask a sentence, Gal & Ghahramani 2016. No noise: no dropout.
    """
    if rate == 0.0 or noise is None:
        return x
    _, steps, width = x.size()
    uniform = noise.uniform(1, width) if shared else noise.uniform_over_time(steps, width)
    return x * ((uniform >= rate) / (1.0 - rate)).to(x.dtype)


def drop_words(ids: Tensor, rate: float, blank: int, noise: StepNoise | None) -> Tensor:
    """Decoder input (B, T) with a share of the tokens blanked, never the first one.

    Bowman 2016, section 3.2.
    """
    if rate == 0.0 or noise is None:
        return ids
    dropped = noise.uniform_over_time(ids.size(1)) < rate
    dropped[:, 0] = False
    return torch.where(dropped, blank, ids)


def regularised_embedding(
    embedding: nn.Embedding, ids: Tensor, config: ModelConfig, noise: StepNoise | None
) -> Tensor:
    """Embedded tokens (B, T, E) after the embedding and the variational dropout."""
    embedded = dropout(embedding(ids), config.embedding_dropout, noise)
    return dropout(embedded, config.variational_dropout, noise, shared=True)
