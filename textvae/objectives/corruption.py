"""Corrupted sentences for the encoder to read, while the decoder is asked for the clean ones.

Denoising autoencoders, Vincent 2008; of text, Lample 2018 and Shen 2020 (section 4), whose four
kinds of noise these are. The end token and padding are never touched, and nothing waits for
the host: shapes stay as they are, whatever is dropped.
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
    """Shuffled, then dropped, blanked and substituted tokens, in that order, as configured.

    Args:
        objective: the rates, and how far a token moves.
        pad_id: what stands behind the end, and in the place of a blank (as in word dropout).
        ordinary: the tokens that one may become, all but special ones, shape (N,), int64, where
            the sentences are.

    Raises:
        ConfigError: tokens shall be substituted and there is none to become.
    """

    objective: ObjectiveConfig
    pad_id: int
    ordinary: Tensor

    def __post_init__(self) -> None:
        if self.objective.noise_substitute and not len(self.ordinary):
            raise ConfigError(
                f"noise_substitute {self.objective.noise_substitute:g}: the vocabulary has no "
                "token but special ones; use a larger vocab_size, or leave it out"
            )

    def __call__(self, source: Tokens, noise: StepNoise) -> Tokens:
        """The corrupted sentences, (B, T) as before; without any rate the very same, undrawn."""
        rates = self.objective
        source = shuffled(source, rates.noise_shuffle, noise)
        source = dropped(source, rates.noise_drop, self.pad_id, noise)
        source = blanked(source, rates.noise_blank, self.pad_id, noise)
        return substituted(source, rates.noise_substitute, self.ordinary, noise)


def shuffled(source: Tokens, places: float, noise: StepNoise) -> Tokens:
    """Sentences whose tokens are sorted by i + u, u uniform in [0, places + 1), i their place.

    Lample 2018, section 2.3. A token passes another only if it stood less than places + 1
    behind or ahead, so none moves more than `places`, rounded up.
    """
    if places == 0.0:
        return source
    steps = source.ids.size(1)
    reach = places + 1
    here = torch.arange(steps, device=source.ids.device)
    moved = torch.where(words(source), reach * noise.uniform_over_time(steps), reach)
    order = (here + moved).argsort(dim=1, stable=True)  # (B, T); the end stays behind the words
    return Tokens(source.ids.gather(1, order), source.lengths)


def dropped(source: Tokens, rate: float, pad_id: int, noise: StepNoise) -> Tokens:
    """Sentences without a share of their tokens; of those that have any, one at least stays."""
    if rate == 0.0:
        return source
    word = words(source)
    steps = source.ids.size(1)
    here = torch.arange(steps, device=source.ids.device)
    uniform = noise.uniform_over_time(steps).masked_fill(~word, -1.0)
    survives = here == uniform.argmax(1, keepdim=True)  # where no draw reaches the rate
    kept = source.mask & ((uniform >= rate) | survives | ~word)
    order = (~kept).to(torch.uint8).argsort(dim=1, stable=True)  # what is kept comes first
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
    """Sentences with a share of their tokens replaced, by each of `ordinary` (N,) as often."""
    if rate == 0.0:
        return source
    choose, pick = noise.uniform_over_time(source.ids.size(1), 2).unbind(2)  # each (B, T)
    last = len(ordinary) - 1
    others = ordinary[(pick * len(ordinary)).long().clamp(max=last)]  # rounding may reach the end
    return Tokens(torch.where(words(source) & (choose < rate), others, source.ids), source.lengths)


def words(source: Tokens) -> Tensor:
    """True at every token but the end token, shape (B, T)."""
    places = torch.arange(source.ids.size(1), device=source.ids.device)
    return places < source.lengths[:, None] - 1
