"""Generation: latent vectors -> token ids, in one loop that drops finished sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from textvae.decoding.beam import beam_search
from textvae.decoding.blocks import largest_id
from textvae.decoding.penalties import allowed, penalize_repetition, require_finite
from textvae.decoding.sampling import draw
from textvae.decoding.settings import Sampling
from textvae.errors import UsageError
from textvae.models.decoder import Decoder
from textvae.models.device import double_device, exact_float32
from textvae.models.sentence import SentenceModel
from textvae.randomness.streams import SampleStreams

__all__ = ["Sampling", "decode", "decode_batches", "default_decoding", "generate"]

CPU_ROWS = 256  # sentences that are decoded at once
DEVICE_ROWS = 4096
DEVICE_LOGITS = 2**27  # of one token of all sentences on a GPU
NO_REPEAT_NGRAM = 3  # of the default decoding of a model with a latent


def default_decoding(model: SentenceModel) -> Sampling:
    """How a model writes unless told otherwise: `greedy` with a latent, else `sample`.

    A random z carries the variety of the sentences; the most probable words for it are far more
    often a sentence than words drawn one by one, at equal diversity (docs/methods.md). No three
    tokens occur twice in the same order, which ends the loops of the most probable words. A
    language model has no other source of variety than its words.
    """
    if model.prior is None:
        return Sampling("sample")
    return Sampling("greedy", no_repeat_ngram=NO_REPEAT_NGRAM)


def rows_at_once(decoder: Decoder, settings: Sampling) -> int:
    """How many sentences are decoded at once on the device of a model, for speed and memory.

    A GPU takes about as long for one as for thousands. A pretrained network keeps a state of up to
    megabytes a sentence, so fewer of its sentences fit.
    """
    if decoder.device.type != "cuda" or decoder.reference is not None:
        return CPU_ROWS
    most = min(DEVICE_ROWS, DEVICE_LOGITS // decoder.vocabulary.size) // settings.beams
    return max(CPU_ROWS, most)


@torch.inference_mode()
def decode(
    decoder: Decoder,
    z: Tensor | None,
    n: int,
    settings: Sampling,
    *,
    streams: SampleStreams | None = None,
) -> list[list[int]]:
    """The token ids of `n` sentences, without start and end tokens; z (n, Z), or None (lm).

    Each sentence depends only on its own z and stream. The model must be in eval mode, and z on
    its device. All n sentences are decoded at once; see `decode_batches` for many.

    Raises:
        UsageError: `sample` without `streams`, or `max_tokens` above the model's limit.
    """
    limit = settings.limit(decoder.max_tokens)
    if n == 0:
        return []
    if settings.strategy == "sample" and streams is None:
        raise UsageError("strategy sample needs streams; try streams=SampleStreams(0, range(n))")
    with exact_float32(decoder.device):
        if settings.strategy == "beam":
            return beam_search(decoder, z, n, settings, limit)
        return _token_by_token(decoder, z, n, settings, limit, streams)


def _token_by_token(
    decoder: Decoder,
    z: Tensor | None,
    n: int,
    settings: Sampling,
    limit: int,
    streams: SampleStreams | None,
) -> list[list[int]]:
    """The token ids of `n` sentences, decoded greedily or sampled; see `decode`."""
    device, eos = decoder.device, decoder.vocabulary.eos_id
    state = decoder.start(z, n)
    tokens = torch.full((n,), decoder.vocabulary.bos_id, device=device)
    rows = torch.arange(n, device=device)  # index of each unfinished sentence
    produced = torch.full((n, limit), eos, device=device)
    for t in range(limit - 1):
        logits, state = decoder.step(tokens, state)  # (N, V)
        if settings.repetition_penalty != 1:
            logits = penalize_repetition(logits, produced[rows, :t], settings.repetition_penalty)
        if settings.no_repeat_ngram or t < settings.min_tokens:
            logits = allowed(logits, produced[rows, :t], settings, eos)
        tokens = _choose(logits, settings, streams, t)
        produced[rows, t] = tokens
        going_on = (tokens != eos).nonzero().squeeze(1)
        if len(going_on) == 0:
            break
        if len(going_on) < len(rows):
            rows, tokens = rows[going_on], tokens[going_on]
            state = state.rows(going_on)
            streams = streams.rows(going_on.cpu().numpy()) if streams is not None else None
    return [row[: row.index(eos)] for row in produced.tolist()]


def _choose(logits: Tensor, settings: Sampling, streams: SampleStreams | None, t: int) -> Tensor:
    if settings.strategy == "greedy" or streams is None:
        tokens = largest_id(logits)
        require_finite(logits.gather(1, tokens[:, None]))
        return tokens
    device = double_device(logits.device)  # of the sums of probabilities
    tokens = draw(
        logits.to(device),
        torch.from_numpy(streams.uniforms(t)).to(device),
        temperature=settings.temperature,
        top_k=settings.top_k,
        top_p=settings.top_p,
    )
    return tokens.to(logits.device)


def decode_batches(
    model: SentenceModel,
    z: Tensor,
    settings: Sampling,
    *,
    seed: int = 0,
    batch_size: int | None = None,
) -> Iterator[list[int]]:
    """The token ids of a sentence for each row of z (N, Z), decoded `batch_size` at a time.

    By default the batch suits the device, see `rows_at_once`.
    """
    batch_size = batch_size or rows_at_once(model.decoder, settings)
    for first in range(0, len(z), batch_size):
        part = z[first : first + batch_size].to(model.device)
        streams = SampleStreams(seed, np.arange(first, first + len(part)))
        yield from decode(model.decoder, part, len(part), settings, streams=streams)


def generate(
    model: SentenceModel,
    n: int,
    settings: Sampling,
    *,
    seed: int = 0,
    batch_size: int | None = None,
    latents: Callable[[Tensor], Tensor] | None = None,
    offset: Tensor | None = None,
) -> Iterator[list[int]]:
    """The token ids of `n` samples of the model; sample i depends only on (seed, i).

    Memory grows with `batch_size`, not with n.

    Args:
        batch_size: sentences that are decoded at once; default: as suits the device.
        latents: maps standard normal noise (B, noise_size) to z (B, Z); default: the model's
            prior. For sentences near a text: `lambda noise: mean + scale * stddev * noise[:, :Z]`.
        offset: added to every z, (Z,).
    """
    batch_size = batch_size or rows_at_once(model.decoder, settings)
    prior = model.prior
    size = model.latent_size
    if latents is None and prior is not None:
        latents, size = prior.sample, prior.noise_size
    for first in range(0, n, batch_size):
        streams = SampleStreams(seed, np.arange(first, min(first + batch_size, n)))
        z = None
        if prior is not None and latents is not None:
            z = latents(streams.normal(size).to(model.device))
            z = z if offset is None else z + offset.to(z)
        yield from decode(model.decoder, z, len(streams), settings, streams=streams)
