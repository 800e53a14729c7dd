"""Compression: bits of a quantized latent against the decoded sentence, and lossless bounds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from textvae.data.rows import Row
from textvae.data.tokenizers import Tokenizer
from textvae.evaluation.bleu import bleu
from textvae.evaluation.byte_coders import compressed_bits, file_of
from textvae.evaluation.likelihood import codes as codes_of
from textvae.evaluation.likelihood import log_likelihoods, posterior_sample, posteriors
from textvae.evaluation.measurements import Figures, mean_and_error
from textvae.evaluation.reconstruction import exact_match
from textvae.evaluation.subject import Subject, prepared_subject
from textvae.gaussian import DiagonalGaussian
from textvae.latent.codes import Code
from textvae.models.sentence import SentenceModel
from textvae.progress import Progress

BOUNDS = ("nll_iw", "nll_elbo")  # in nats per sentence, a lossless code of a model each


@dataclass(frozen=True)
class Compression:
    """What the figures of compression need.

    Args:
        codes: of the latent, fitted to the training text; empty for a language model.
        training: the training text, for the compressors that know it.
    """

    codes: Sequence[Code]
    training: Sequence[str]


@dataclass(frozen=True)
class RatePoint:
    """A code of the latent, and what is decoded from it.

    Args:
        code: its name, such as `int8`.
        bits: per sentence.
        bleu: corpus BLEU of the greedy sentences with the originals, 0 to 100.
        exact_match: share of sentences that come back, apart from white space.
        rec: -log p(x|z) at the quantized latent in nats, the mean over sentences.
        rec_se: its standard error; None for one sentence.
    """

    code: str
    bits: float
    bleu: float
    exact_match: float
    rec: float
    rec_se: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """As `textvae evaluate --compression --json` prints it."""
        return dict(vars(self))


@dataclass(frozen=True)
class LosslessSize:
    """The size of the sentences after a lossless compression; None if it could not be computed.

    Args:
        coder: `nll_iw` or `nll_elbo` for a bound of the model, or a compressor.
        bits_per_byte: bits / UTF-8 bytes of the sentences, one newline each counted.
        bits_per_sentence: bits / sentences.
    """

    coder: str
    bits_per_byte: float | None
    bits_per_sentence: float | None

    def to_dict(self) -> dict[str, Any]:
        """As `textvae evaluate --compression --json` prints it."""
        return dict(vars(self))


def compression_figures(
    subject: Subject,
    compression: Compression,
    z: Tensor | None,
    q: DiagonalGaussian | None,
    report: Mapping[str, Any],
) -> Figures:
    """`rate_distortion` if there is a latent z (N, Z), and `lossless`: a list of dicts each.

    A bound of the model is left out where `bits_per_byte` is: an unknown token does not say which
    word it stands for.
    """
    figures = Figures()
    if z is not None:
        points = rate_points(subject, z, q, compression.codes)
        figures.value("rate_distortion", [point.to_dict() for point in points])
    bounds = BOUNDS if "bits_per_byte" in report else ()
    nats = {key: report[key] for key in bounds if key in report}
    sizes = lossless_sizes(subject.sentences.texts, compression.training, nats)
    figures.value("lossless", [size.to_dict() for size in sizes])
    return figures


def measured_rates(
    model: SentenceModel,
    tokenizer: Tokenizer,
    rows: Iterable[Row],
    codes: Sequence[Code],
    *,
    seed: int = 0,
    limit: int | None = None,
    truncate: bool = False,
    encoder_tokenizer: Tokenizer | None = None,
    progress: Progress | None = None,
) -> tuple[list[RatePoint], int]:
    """The points of `rate_points` for the sentences of rows, and the number of sentences.

    The arguments are those of `evaluate`.
    """
    subject = prepared_subject(
        model,
        tokenizer,
        rows,
        seed=seed,
        limit=limit,
        truncate=truncate,
        encoder_tokenizer=encoder_tokenizer,
        progress=progress,
    )
    q = posteriors(model, subject.chunks) if model.has_density else None
    z = codes_of(model, subject.chunks) if q is None else q.mean
    return rate_points(subject, z, q, codes), len(subject.sentences.rows)


def rate_points(
    subject: Subject, z: Tensor, q: DiagonalGaussian | None, codes: Sequence[Code]
) -> list[RatePoint]:
    """What is decoded from each code of latents z (N, Z), by bits.

    With posteriors q, `sample` is a sample of the posterior. Its bits are the KL to the prior: what
    a sample costs with bits back (Hinton & van Camp 1993) or relative entropy coding (Havasi 2019),
    apart from their overhead.
    """
    points = [_point(subject, code.name, code.bits, own) for code, own in _approximations(z, codes)]
    if q is not None and subject.model.prior is not None:
        drawn = posterior_sample(q, subject.seed)
        kl = subject.model.prior.kl(q, drawn).mean().item()
        points.append(_point(subject, "sample", kl / math.log(2), drawn))
    return sorted(points, key=lambda point: point.bits)


def lossless_sizes(
    texts: Sequence[str], training: Sequence[str], nats: dict[str, float]
) -> list[LosslessSize]:
    """The size of the texts by the bounds of a model and by general compressors.

    Args:
        nats: of a sentence, by the name of the bound.
    """
    total = {name: value * len(texts) / math.log(2) for name, value in nats.items()}
    n_bytes = len(file_of(texts))
    return [
        LosslessSize(coder, None, None)
        if bits is None
        else LosslessSize(coder, bits / n_bytes, bits / len(texts))
        for coder, bits in (total | compressed_bits(texts, training)).items()
    ]


def _approximations(z: Tensor, codes: Sequence[Code]) -> Iterator[tuple[Code, Tensor]]:
    vectors = z.float().numpy()
    for code in codes:
        yield code, torch.from_numpy(code.approximate(vectors))


def _point(subject: Subject, name: str, bits: float, z: Tensor) -> RatePoint:
    texts = subject.sentences.texts
    outputs = subject.decoded(z, f"decoding {name}")
    rec = -log_likelihoods(subject.model, subject.chunks, z)
    score, _ = bleu(outputs, texts, subject.writing)
    return RatePoint(name, bits, score, exact_match(outputs, texts), *mean_and_error(rec))
