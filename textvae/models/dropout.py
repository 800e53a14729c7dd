"""Dropout of states and of words, driven by the noise of a training step."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from textvae.config import ModelConfig
from textvae.randomness.noise import StepNoise


def dropout(x: Tensor, rate: float, noise: StepNoise | None, *, shared: bool = False) -> Tensor:
    """States (B, T, H) after inverted dropout; unchanged without noise.

    Srivastava 2014. With `shared`, one mask per sentence for all steps: Gal & Ghahramani 2016.
    """
    if rate == 0.0 or noise is None:
        return x
    _, steps, width = x.size()
    uniform = noise.uniform(1, width) if shared else noise.uniform_over_time(steps, width)
    return x * ((uniform >= rate) / (1.0 - rate)).to(x.dtype)


def drop_words(ids: Tensor, rate: float, blank: int, noise: StepNoise | None) -> Tensor:
    """Decoder input (B, T) with a share of the tokens replaced by `blank`, never the first.

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
    """Embedded tokens (B, T, E) after embedding dropout and variational dropout."""
    embedded = dropout(embedding(ids), config.embedding_dropout, noise)
    return dropout(embedded, config.variational_dropout, noise, shared=True)
