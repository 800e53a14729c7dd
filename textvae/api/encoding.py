"""Vectors and reconstructions of many sentences, a chunk at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from textvae.api.protocol import TextModel
from textvae.data import input_rows
from textvae.data.rows import Row
from textvae.errors import UsageError
from textvae.models.prior import CodeGaussian
from textvae.models.sentence import Layer
from textvae.number_format import counted
from textvae.progress import Progress, Say, Watcher
from textvae.saving.identity import fingerprint

SPREAD = 1.0  # of noise near a sentence, in standard deviations of its posterior
SPREAD_OF_CODES = 0.2  # of an autoencoder, in those of all codes, which are far wider


@dataclass(frozen=True, eq=False)
class Surroundings:
    """The latents near N sentences.

    Args:
        mean: the vectors, (N, Z).
        stddev: of the posterior of each; of an autoencoder, of all its codes, (N, Z).
        cut: the number of truncated sentences.
    """

    mean: NDArray[np.float32]
    stddev: NDArray[np.float32]
    cut: int


def require_latent(vae: TextModel, what: str, name: str | None = None) -> None:
    """Raise UsageError where the model is a language model: it has no vectors to do `what` with."""
    if vae.model.encoder is None:
        name = name or str(vae.folder or "this")
        raise UsageError(
            f"{name} is a language model, which has no latent, so there are no vectors; to {what}, "
            "train a vae or an ae"
        )


def fingerprint_of(vae: TextModel) -> str:
    """The digest of all that the model's vectors depend on."""
    return fingerprint(vae.model, vae.encoder_tokenizer, vae.config.data)


def neighbourhood(vae: TextModel, text: str) -> tuple[Tensor, Tensor]:
    """Centre and standard deviation of the latents near a sentence, (1, Z) and (1, Z) or (Z,).

    Of the posterior; of an autoencoder, whose posterior is a point, the deviation of all codes.
    """
    if isinstance(vae.model.prior, CodeGaussian):
        spread = vae.model.prior.stddev
        return torch.as_tensor(vae.embed([text]).vectors).to(spread.device), spread
    q = vae.posterior([text])
    return q.mean, q.stddev


def surroundings(vae: TextModel, texts: Sequence[str]) -> Surroundings:
    """The latents near each text, as `neighbourhood` gives them for one."""
    found = vae.embed(texts, with_variance=vae.model.has_density)
    if found.variances is not None:
        return Surroundings(found.vectors, np.sqrt(found.variances), found.cut)
    prior = vae.model.prior
    spread = prior.stddev.cpu().numpy() if isinstance(prior, CodeGaussian) else np.float32(1)
    return Surroundings(found.vectors, np.full_like(found.vectors, spread), found.cut)


def default_spread(vae: TextModel) -> float:
    """The size of noise near a sentence, in the deviations of `surroundings`."""
    return SPREAD if vae.model.has_density else SPREAD_OF_CODES


def warn_of_cut(n: int, max_tokens: int, warn: Say) -> None:
    """Warn of the number of truncated sentences, if any."""
    if n:
        were = "was" if n == 1 else "were"
        warn(f"{counted(n, 'sentence')} exceeded {max_tokens} tokens and {were} truncated")


def encode_all(
    vae: TextModel,
    texts: Sequence[str],
    watcher: Watcher,
    *,
    layer: Layer = "latent",
    normalize: bool = False,
    phase: str = "encoding",
) -> NDArray[np.float32]:
    """The vectors of all texts, (N, D); warns of the texts that exceed the model's limit."""
    n_cut = 0

    def encode(chunk: Sequence[str]) -> NDArray[np.float32]:
        nonlocal n_cut
        found = vae.embed(chunk, layer=layer, normalize=normalize)
        n_cut += found.cut
        return found.vectors

    vectors = _by_chunks(encode, texts, watcher.progress, phase)
    warn_of_cut(n_cut, vae.max_tokens_read, watcher.warn)
    return vectors


def decode_all(
    vae: TextModel, z: NDArray[np.floating], progress: Progress, *, phase: str = "decoding"
) -> list[str]:
    """The sentence of each vector (N, Z), greedy."""
    found: list[str] = []
    for start in range(0, len(z), input_rows.CHUNK):
        found += vae.decode(z[start : start + input_rows.CHUNK])
        progress(phase, len(found), len(z))
    return found


def average_all(
    vae: TextModel, texts: Sequence[str], progress: Progress, *, phase: str = "word vectors"
) -> NDArray[np.float32]:
    """The average of the vectors of each text's words, (N, E)."""
    return _by_chunks(vae.word_average, texts, progress, phase)


def reconstruct_all(
    vae: TextModel, rows: Iterator[Row], watcher: Watcher, *, sample_seed: int | None = None
) -> Iterator[tuple[str, str]]:
    """(text, reconstruction) of each row, in bounded memory; greedy, from the posterior mean.

    Args:
        sample_seed: decode a sample of each posterior, that of (sample_seed, index), instead.
    """
    n_cut = 0
    for start, chunk in input_rows.in_chunks(rows):
        texts = [row.text for row in chunk]
        found = vae.embed(texts, sample_seed=sample_seed, first=start)
        n_cut += found.cut
        yield from zip(texts, vae.decode(found.vectors), strict=True)
    warn_of_cut(n_cut, vae.max_tokens_read, watcher.warn)


def _by_chunks(
    encode: Callable[[Sequence[str]], NDArray[np.float32]],
    texts: Sequence[str],
    progress: Progress,
    phase: str,
) -> NDArray[np.float32]:
    """The rows that `encode` gives for all texts, (N, D)."""
    parts = [encode([])]
    for start in range(0, len(texts), input_rows.CHUNK):
        parts.append(encode(texts[start : start + input_rows.CHUNK]))
        progress(phase, min(start + input_rows.CHUNK, len(texts)), len(texts))
    return np.concatenate(parts)
