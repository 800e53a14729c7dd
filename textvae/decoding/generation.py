"""From latent vectors to token ids: one loop over time, from which finished sentences leave."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from textvae.decoding.beam import beam_search
from textvae.decoding.penalties import forbid, penalize_repetition, require_finite
from textvae.decoding.sampling import draw
from textvae.decoding.settings import Sampling
from textvae.errors import UsageError
from textvae.models.sentence import SentenceModel
from textvae.randomness.streams import SampleStreams

__all__ = ["Sampling", "decode", "decode_batches", "generate"]


@torch.inference_mode()
def decode(
    model: SentenceModel,
    z: Tensor | None,
    n: int,
    settings: Sampling,
    *,
    streams: SampleStreams | None = None,
) -> list[list[int]]:
    """Token ids of `n` sentences, without start and end tokens; z (n, Z), or None (lm).

    A sentence depends on its own z and stream only, not on the other rows. The model is in
    eval mode, z on its device; all n are decoded at once (see `decode_batches`).

    Raises:
        UsageError: `sample` without `streams`, or `max_tokens` above the model's limit.
    """
    limit = settings.limit(model.max_tokens)
    if n == 0:
        return []
    if settings.strategy == "beam":
        return beam_search(model, z, n, settings, limit)
    if settings.strategy == "sample" and streams is None:
        raise UsageError("strategy sample needs streams; try streams=SampleStreams(0, range(n))")

    state = model.start(z, n)
    tokens = torch.full((n,), model.bos_id, device=model.device)
    rows = torch.arange(n, device=model.device)  # place of each sentence still in the batch
    produced = torch.full((n, limit), model.eos_id, device=model.device)
    for t in range(limit - 1):
        logits, state = model.step(tokens, state)  # (N, V)
        if settings.repetition_penalty != 1:
            logits = penalize_repetition(logits, produced[rows, :t], settings.repetition_penalty)
        if t < settings.min_tokens:
            logits = forbid(logits, model.eos_id)
        tokens = _choose(logits, settings, streams, t)
        produced[rows, t] = tokens
        going_on = (tokens != model.eos_id).nonzero().squeeze(1)
        if len(going_on) == 0:
            break
        if len(going_on) < len(rows):
            rows, tokens = rows[going_on], tokens[going_on]
            state = tuple(part[going_on] for part in state)
            streams = streams.rows(going_on.cpu().numpy()) if streams is not None else None
    return [row[: row.index(model.eos_id)] for row in produced.tolist()]


def _choose(logits: Tensor, settings: Sampling, streams: SampleStreams | None, t: int) -> Tensor:
    if settings.strategy == "greedy" or streams is None:
        tokens = logits.argmax(1)  # of equals the first
        require_finite(logits.gather(1, tokens[:, None]))
        return tokens
    return draw(
        logits,
        torch.from_numpy(streams.uniforms(t)).to(logits.device),
        temperature=settings.temperature,
        top_k=settings.top_k,
        top_p=settings.top_p,
    )


def decode_batches(
    model: SentenceModel,
    z: Tensor,
    settings: Sampling,
    *,
    seed: int = 0,
    batch_size: int = 256,
) -> Iterator[list[int]]:
    """Token ids of the sentence of each row of z (N, Z), decoded `batch_size` at a time."""
    for first in range(0, len(z), batch_size):
        part = z[first : first + batch_size].to(model.device)
        streams = SampleStreams(seed, np.arange(first, first + len(part)))
        yield from decode(model, part, len(part), settings, streams=streams)


def generate(
    model: SentenceModel,
    n: int,
    settings: Sampling,
    *,
    seed: int = 0,
    batch_size: int = 256,
    latents: Callable[[Tensor], Tensor] | None = None,
) -> Iterator[list[int]]:
    """Token ids of `n` samples of the model; sample i is a function of (seed, i) alone.

    Memory grows with `batch_size`, not with n.

    Args:
        latents: standard normal noise (B, Z) -> z (B, Z); none: the model's prior. For
            sentences near one text, `lambda noise: mean + scale * stddev * noise`.
    """
    latents = latents or model.prior_sample
    for first in range(0, n, batch_size):
        streams = SampleStreams(seed, np.arange(first, min(first + batch_size, n)))
        z = None
        if model.latent_size:
            z = latents(streams.prior_noise(model.latent_size).to(model.device))
        yield from decode(model, z, len(streams), settings, streams=streams)
