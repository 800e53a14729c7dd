"""Analogies between sentences: A is to B as C is to the sentences that are found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from textvae.api.encoding import default_spread, neighbourhood, require_latent, warn_of_cut
from textvae.api.protocol import TextModel
from textvae.arguments import distance, number, seed_of, whole_number
from textvae.data.texts import one_text
from textvae.decoding.generation import decode_batches, default_decoding, generate
from textvae.errors import UsageError, flag
from textvae.evaluation.likelihood import chunks_by_length, log_likelihoods
from textvae.latent.directions import analogy as analogous
from textvae.number_format import counted
from textvae.progress import Progress, Watcher
from textvae.progress.bars import shows_progress

MOST_CANDIDATES = 10_000
_DRAWS_A_CANDIDATE = 20  # at most
_BATCH = 64  # draws that are decoded at once


@dataclass(frozen=True)
class Candidate:
    """A sentence for the fourth place of an analogy.

    Args:
        log_likelihood: log p(x|z) in nats, of the sentence x at the point z of the analogy.
    """

    index: int
    text: str
    log_likelihood: float

    def to_dict(self) -> dict[str, Any]:
        """The candidate as `textvae analogy --json` prints it, but for `decoding`."""
        return dict(vars(self))


@shows_progress
def analogy(
    vae: TextModel,
    a: str,
    b: str,
    c: str,
    *,
    n: int = 5,
    scale: float = 1.0,
    spread: float | None = None,
    name: str | None = None,
    seed: int | None = 0,
    watcher: Watcher | None = None,
) -> list[Candidate]:
    """Sentences for D in "A is to B as C is to D", the likeliest first. Mikolov 2013, Shen 2020.

    The point of the analogy is z = c + scale * (b - a), of the vectors of `encode`. The candidates
    are the sentence that z decodes to, and different sentences that points near z decode to:
    z + spread * stddev * noise, the noise of point i from the stream (seed, i). All are decoded
    greedily, and ordered by log p(x|z) at the point z itself. The candidates of a smaller n are
    among those of a larger n.

    >>> vae.analogy("he sings .", "she sings .", "he eats .")  # doctest: +SKIP

    Args:
        n: at most so many candidates; fewer are found where the points near z decode to few
            different sentences.
        spread: the size of the noise, in standard deviations of the posterior of C, 1 by default;
            for an ae in those of all its codes, 0.2 by default.

    Raises:
        UsageError: n is below 1 or above 10,000, or the model is a language model.
    """
    n, seed = whole_number("n", n, least=1, example=5), seed_of(seed)
    if n > MOST_CANDIDATES:
        raise UsageError(f"n is {n:,}; expected {MOST_CANDIDATES:,} candidates at most")
    scale = number("scale", scale)
    require_latent(vae, "find analogies", name)
    watcher = watcher or Watcher()
    texts = [one_text(text, key) for key, text in (("a", a), ("b", b), ("c", c))]
    found = vae.embed(texts)
    warn_of_cut(found.cut, vae.max_tokens_read, watcher.warn)
    z = torch.from_numpy(analogous(*found.vectors, scale=scale)).to(vae.model.device)
    _, stddev = neighbourhood(vae, texts[2])
    spread = default_spread(vae) if spread is None else distance("spread", spread)
    deviation = spread * stddev.to(z)
    sentences = _distinct(vae, _decoded(vae, z, deviation, n, seed), n, watcher.progress)
    if len(sentences) < n:
        watcher.warn(
            f"only {counted(len(sentences), 'different sentence')} near the point of the analogy, "
            f"in {n * _DRAWS_A_CANDIDATE:,} draws; a larger {flag('spread')} finds more"
        )
    chunks = chunks_by_length(list(sentences.values()), vae.model)
    scores = log_likelihoods(vae.model, chunks, z.expand(len(sentences), -1)).tolist()
    ranked = sorted(zip(scores, sentences, strict=True), key=lambda pair: -pair[0])
    return [Candidate(index, text, score) for index, (score, text) in enumerate(ranked)]


def _decoded(
    vae: TextModel, z: Tensor, deviation: Tensor, n: int, seed: int
) -> Iterator[list[int]]:
    """The token ids that z (Z,) decodes to, then those of points around z."""
    decoding = default_decoding(vae.model)
    yield from decode_batches(vae.model, z[None], decoding)
    yield from generate(
        vae.model,
        n * _DRAWS_A_CANDIDATE,
        decoding,
        seed=seed,
        batch_size=_BATCH,
        latents=lambda noise: z + deviation * noise,
    )


def _distinct(
    vae: TextModel, decoded: Iterator[list[int]], n: int, progress: Progress
) -> dict[str, list[int]]:
    """The first n different sentences, and the token ids of each."""
    found: dict[str, list[int]] = {}
    for ids in decoded:
        found.setdefault(vae.tokenizer.decode([ids])[0], ids)
        progress("candidates", len(found), n)
        if len(found) == n:
            break
    return found
