"""Noise for denoising: the encoder reads corrupted sentences, the decoder predicts clean ones.

Denoising autoencoders: Vincent 2008. The four kinds of noise for text: Lample 2018 and Shen 2020
(section 4). The end token and padding never change. Shapes stay the same even if tokens are
dropped, so the device never waits for the host.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from textvae.config import ObjectiveConfig
from textvae.data.batches import Tokens
from textvae.errors import ConfigError
from textvae.randomness.noise import StepNoise


@dataclass(frozen=True, eq=False)  # tensors have no single truth value
class Corruption:
    """Shuffles, drops, blanks and substitutes tokens, in this order, as configured.

    Args:
        objective: the rates, and how far a token may move.
        pad_id: the padding token, also used as the blank (as in word dropout).
        ordinary: the tokens to substitute, all except special tokens, shape (N,), int64, on the
            device of the sentences.

    Raises:
        ConfigError: substitution is on, but the vocabulary has only special tokens.
    """

    objective: ObjectiveConfig
    pad_id: int
    ordinary: Tensor

    def __post_init__(self) -> None:
        if self.objective.noise_substitute and not len(self.ordinary):
            raise ConfigError(
                f"noise_substitute {self.objective.noise_substitute:g}: the vocabulary has only "
                "special tokens; use a larger vocab_size, or set noise_substitute to 0"
            )

    def __call__(self, source: Tokens, noise: StepNoise) -> Tokens:
        """The corrupted sentences, (B, T); if all rates are 0, `source` itself, without a draw."""
        rates = self.objective
        source = shuffled(source, rates.noise_shuffle, noise)
        source = dropped(source, rates.noise_drop, self.pad_id, noise)
        source = blanked(source, rates.noise_blank, self.pad_id, noise)
        return substituted(source, rates.noise_substitute, self.ordinary, noise)


def shuffled(source: Tokens, places: float, noise: StepNoise) -> Tokens:
    """Sentences with their tokens sorted by i + u: i is the position, u uniform in [0, places + 1).

    Lample 2018, section 2.3. Two tokens change order only if their distance is less than
    places + 1, so no token moves by more than `places`, rounded up.
    """
    if places == 0.0:
        return source
    steps = source.ids.size(1)
    reach = places + 1
    here = torch.arange(steps, device=source.ids.device)
    moved = torch.where(words(source), reach * noise.uniform_over_time(steps), reach)
    order = (here + moved).argsort(dim=1, stable=True)  # (B, T); the end token stays last
    return Tokens(source.ids.gather(1, order), source.lengths)


def dropped(source: Tokens, rate: float, pad_id: int, noise: StepNoise) -> Tokens:
    """Sentences with a share of their tokens dropped; at least one token stays."""
    if rate == 0.0:
        return source
    word = words(source)
    steps = source.ids.size(1)
    here = torch.arange(steps, device=source.ids.device)
    uniform = noise.uniform_over_time(steps).masked_fill(~word, -1.0)
    survives = here == uniform.argmax(1, keepdim=True)  # the token with the largest draw
    kept = source.mask & ((uniform >= rate) | survives | ~word)
    order = (~kept).to(torch.uint8).argsort(dim=1, stable=True)  # kept tokens first
    lengths = kept.sum(1)
    ids = source.ids.gather(1, order)
    return Tokens(torch.where(here < lengths[:, None], ids, pad_id), lengths)


def blanked(source: Tokens, rate: float, blank: int, noise: StepNoise) -> Tokens:
    """Sentences with a share of their tokens replaced by `blank`."""
    if rate == 0.0:
        return source
    chosen = words(source) & (noise.uniform_over_time(source.ids.size(1)) < rate)
    return Tokens(torch.where(chosen, blank, source.ids), source.lengths)


def substituted(source: Tokens, rate: float, ordinary: Tensor, noise: StepNoise) -> Tokens:
    """Sentences with a share of their tokens replaced by uniform draws from `ordinary` (N,)."""
    if rate == 0.0:
        return source
    choose, pick = noise.uniform_over_time(source.ids.size(1), 2).unbind(2)  # each (B, T)
    last = len(ordinary) - 1
    others = ordinary[(pick * len(ordinary)).long().clamp(max=last)]  # rounding may give N
    return Tokens(torch.where(words(source) & (choose < rate), others, source.ids), source.lengths)


def words(source: Tokens) -> Tensor:
    """True at every token except the end token and padding, shape (B, T)."""
    places = torch.arange(source.ids.size(1), device=source.ids.device)
    return places < source.lengths[:, None] - 1
