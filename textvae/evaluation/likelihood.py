"""The likelihood of sentences under a model: exact, bounded, or by importance sampling.

Results are float64 on the CPU, one value per sentence, in the order of the sentences. The noise of
sentence i depends only on (seed, i), so no value depends on the batches of sentences or on the
number of samples per decoder call.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from textvae.data.batches import Tokens, by_length, collate
from textvae.gaussian import DiagonalGaussian
from textvae.models.device import double_device, float32_products, sent
from textvae.models.sentence import SentenceModel
from textvae.progress import Progress
from textvae.randomness.streams import SentenceNoise

# Most numbers in the widest layer of one decoder call (samples * sentences * tokens * width), which
# is mostly the logits; limits memory. A GPU needs large calls to be busy; more than
# `softmax.LARGEST` logits are never in memory at once.
CPU_LOGITS = 2**22
DEVICE_LOGITS = 2**28
TF32 = True  # of nll_iw: the products of a GPU


# the mathematics


@dataclass(frozen=True)
class ImportanceSamples:
    """K samples z_k ~ q(z|x) for each of B sentences, with their importance weights.

    >>> samples = ImportanceSamples(torch.zeros(4, 2), torch.full((4, 2), -3.0))
    >>> samples.nll, samples.effective_sample_size.round()
    (tensor([3., 3.]), tensor([4., 4.]))
    """

    log_likelihood: Tensor  # (K, B): log p(x|z_k)
    log_weight: Tensor  # (K, B): log p(x|z_k) + log p(z_k) - log q(z_k|x)

    @classmethod
    def draw(
        cls,
        posterior: DiagonalGaussian,
        noise: Tensor,
        log_likelihood: Callable[[Tensor], Tensor],
        log_prior: Callable[[Tensor], Tensor],
    ) -> ImportanceSamples:
        """Samples of the posteriors (B, Z) from standard normal noise (K, B, Z).

        `log_likelihood` and `log_prior` map z (K, B, Z) to nats (K, B).
        """
        z = posterior.sample(noise)
        conditional = log_likelihood(z)
        return cls(conditional, conditional + log_prior(z) - posterior.log_prob(z))

    @classmethod
    def cat(cls, parts: Sequence[ImportanceSamples]) -> ImportanceSamples:
        """All samples of `parts`, which belong to the same sentences."""
        return cls(
            torch.cat([part.log_likelihood for part in parts]),
            torch.cat([part.log_weight for part in parts]),
        )

    @property
    def rec(self) -> Tensor:
        """-E_q log p(x|z), estimated by the mean over the samples, in nats, shape (B,)."""
        return -self.log_likelihood.mean(0)

    @property
    def kl(self) -> Tensor:
        """E_q [log q(z|x) - log p(z)], estimated by the mean over the samples, in nats, (B,)."""
        return (self.log_likelihood - self.log_weight).mean(0)

    @property
    def nll(self) -> Tensor:
        """-log (1/K) sum_k p(x|z_k) p(z_k) / q(z_k|x), in nats, shape (B,). Burda 2016, eq. 8."""
        return -log_mean_exp(self.log_weight)

    @property
    def nll_half(self) -> Tensor | None:
        """`nll` with K/2 samples, the mean over both halves; None at K = 1."""
        half = len(self.log_weight) // 2
        if half == 0:
            return None
        first, second = self.log_weight[:half], self.log_weight[half : 2 * half]
        return -(log_mean_exp(first) + log_mean_exp(second)) / 2

    @property
    def effective_sample_size(self) -> Tensor:
        """(sum_k w_k)^2 / sum_k w_k^2, from 1 to K, shape (B,). Kong 1992."""
        total, squares = self.log_weight.logsumexp(0), (2 * self.log_weight).logsumexp(0)
        return (2 * total - squares).exp()


def log_mean_exp(log_values: Tensor) -> Tensor:
    """The log of the mean of exp(log_values) over axis 0."""
    return log_values.logsumexp(0) - math.log(len(log_values))


# sentences in batches


@dataclass(frozen=True)
class Chunk:
    """A batch of sentences, and the index of each among all sentences."""

    source: Tokens  # for the encoder
    target: Tokens  # for the decoder; the same object if the tokenizer is shared
    places: Tensor  # (B,) int64, CPU


def chunks_by_length(
    ids: Sequence[Sequence[int]],
    model: SentenceModel,
    batch_size: int = 256,
    *,
    source_ids: Sequence[Sequence[int]] | None = None,
) -> list[Chunk]:
    """All sentences in batches of similar length, to save padding.

    Args:
        ids: tokens of the decoder's tokenizer, without end tokens.
        source_ids: tokens of the encoder's tokenizer; default: `ids`.
    """
    lengths = np.array([len(row) + 1 for row in ids], dtype=np.int64)

    def fits(longest: int) -> int:
        return min(batch_size, rows_a_call(model, longest))

    chunks = []
    for rows in by_length(lengths, fits, longest_first=True):  # largest memory first
        written = model.decoder.vocabulary
        target = source = collate([ids[i] for i in rows], written.eos_id, written.pad_id)
        if source_ids is not None and model.encoder is not None:
            read = model.encoder.vocabulary
            source = collate([source_ids[i] for i in rows], read.eos_id, read.pad_id)
        chunks.append(Chunk(source, target, torch.from_numpy(rows)))
    return chunks


def rows_a_call(model: SentenceModel, steps: int) -> int:
    """The largest batch of sentences of `steps` tokens for one decoder call; at least 1."""
    numbers = CPU_LOGITS if model.device.type == "cpu" else DEVICE_LOGITS
    return max(1, numbers // (steps * model.decoder.memory_width))


def sampled_rows_a_call(model: SentenceModel, steps: int) -> int:
    """The most samples of sentences of `steps` tokens for one decoder call without gradient.

    A CPU then holds the logits of a few tokens at a time (`softmax.CACHED_ROWS`), so only the
    layers below them limit the call. A recurrent network needs many rows to be fast.
    """
    if model.device.type != "cpu":
        return rows_a_call(model, steps)
    return max(1, CPU_LOGITS // (steps * model.decoder.states_width))


@contextmanager
def inference(model: SentenceModel, *, tf32: bool = False) -> Iterator[None]:
    """A block in evaluation and inference mode; the model's mode is restored at the end.

    With `tf32`, a GPU multiplies float32 numbers in TF32.
    """
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode(), float32_products(model.device, tf32=tf32):
            yield
    finally:
        model.train(was_training)


# models on sentences


def posteriors(model: SentenceModel, chunks: Sequence[Chunk]) -> DiagonalGaussian:
    """q(z|x) of all sentences, (N, Z), float64 on the CPU."""
    parts = []
    with inference(model):
        for chunk in chunks:
            q = model.infer(chunk.source.to(model.device))
            parts.append(DiagonalGaussian(q.mean.cpu().double(), q.log_variance.cpu().double()))
    return DiagonalGaussian.cat(parts)[restoring(chunks)]


def codes(model: SentenceModel, chunks: Sequence[Chunk]) -> Tensor:
    """Posterior means, or an autoencoder's points, of all sentences, (N, Z), float32 on the CPU."""
    with inference(model):
        parts = [model.code(chunk.source.to(model.device)).cpu() for chunk in chunks]
    return torch.cat(parts)[restoring(chunks)]


def posterior_sample(q: DiagonalGaussian, seed: int) -> Tensor:
    """One z ~ q(z|x) per sentence, (N, Z): the first sample of importance sampling."""
    N, Z = q.mean.size()
    return q.sample(SentenceNoise(seed, torch.arange(N)).draw(1, Z)[0])


def log_likelihoods(
    model: SentenceModel,
    chunks: Sequence[Chunk],
    z: Tensor | None,
    *,
    progress: Progress | None = None,
    phase: str = "likelihood",
) -> Tensor:
    """log p(x|z) of all sentences in nats, (N,); z (N, Z), or None for a language model."""
    parts, done, total = [], 0, sum(len(chunk.places) for chunk in chunks)
    with inference(model):
        for chunk in chunks:
            own = None if z is None else z[chunk.places].float().to(model.device)
            tokens = chunk.target.to(model.device)
            parts.append(model.decoder.log_likelihood(tokens, own).cpu().double())
            done += len(chunk.places)
            if progress is not None:
                progress(phase, done, total)
    return torch.cat(parts)[restoring(chunks)]


@dataclass(frozen=True)
class Likelihood:
    """Importance-sampling estimates for N sentences, in nats, each (N,)."""

    rec: Tensor
    kl: Tensor
    nll: Tensor
    nll_half: Tensor | None
    effective_sample_size: Tensor


def importance_weighted(
    model: SentenceModel,
    chunks: Sequence[Chunk],
    q: DiagonalGaussian,
    *,
    samples: int,
    seed: int,
    first: int = 0,
    progress: Progress | None = None,
    phase: str = "likelihood",
) -> Likelihood:
    """-log p(x) of all sentences, from K samples of each posterior (N, Z). Burda 2016, eq. 8.

    A GPU multiplies in TF32, which takes a fraction of the time. Nothing waits for the GPU before
    the end, except for `progress`, so the noise of the next call is drawn while it computes.

    Args:
        first: index of the first sentence in the whole input; chooses the noise of each.
    """
    columns: list[tuple[Tensor, ...]] = []
    done, total = 0, sum(len(chunk.places) for chunk in chunks)
    with inference(model, tf32=TF32):
        for few in (few for chunk in chunks for few in _few_at_a_time(chunk, model, samples)):
            drawn = _importance_samples(model, few, q[few.places], samples, seed, first)
            found = (
                drawn.rec,
                drawn.kl,
                drawn.nll,
                drawn.effective_sample_size,
                drawn.nll_half,
            )
            columns.append(tuple(column for column in found if column is not None))
            done += len(few.places)
            if progress is not None:
                progress(phase, done, total)
    order = restoring(chunks)
    rec, kl, nll, size, *half = (
        torch.cat(parts).cpu()[order] for parts in zip(*columns, strict=True)
    )
    exact = None if model.prior is None else model.prior.exact_kl(q)
    return Likelihood(rec, kl if exact is None else exact, nll, half[0] if half else None, size)


def _few_at_a_time(chunk: Chunk, model: SentenceModel, samples: int) -> Iterator[Chunk]:
    """The sentences of a chunk, as few at a time as fill a decoder call with their samples.

    The samples of one sentence need no padding; different sentences do.
    """
    lengths = chunk.target.lengths.tolist()
    first = 0
    while first < len(lengths):
        count = max(1, sampled_rows_a_call(model, lengths[first]) // samples)
        rows = slice(first, first + count)
        ids = chunk.target.ids[rows, : max(lengths[rows])]
        target = Tokens(ids, chunk.target.lengths[rows])
        yield Chunk(chunk.source.rows(rows), target, chunk.places[rows])
        first += count


def _importance_samples(
    model: SentenceModel, chunk: Chunk, q: DiagonalGaussian, samples: int, seed: int, first: int
) -> ImportanceSamples:
    B, T = chunk.target.ids.size()
    tokens, device = chunk.target.to(model.device), double_device(model.device)
    q = DiagonalGaussian(q.mean.to(device), q.log_variance.to(device))
    noise = SentenceNoise(seed, chunk.places + first)
    at_once = max(1, sampled_rows_a_call(model, T) // B)
    prior = model.prior

    def log_likelihood(z: Tensor) -> Tensor:
        return model.decoder.log_likelihood(tokens, z.float().to(model.device)).to(device).double()

    def log_prior(z: Tensor) -> Tensor:
        assert prior is not None  # every model with a posterior has one
        return prior.log_prob(z.float().to(model.device)).to(device).double()

    parts = []
    for k in range(0, samples, at_once):
        drawn = sent(noise.draw(min(at_once, samples - k), q.mean.size(1)), device)
        parts.append(ImportanceSamples.draw(q, drawn, log_likelihood, log_prior))
    return ImportanceSamples.cat(parts)


def restoring(chunks: Sequence[Chunk]) -> Tensor:
    """The index that restores the order of the sentences in concatenated chunks."""
    return torch.cat([chunk.places for chunk in chunks]).argsort()
