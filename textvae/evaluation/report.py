"""The report: all metrics of a model on a set of sentences, under fixed JSON keys."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from textvae.data.rows import Row
from textvae.data.tokenizers import Tokenizer
from textvae.data.writing import Writing
from textvae.errors import UsageError, flag, option
from textvae.evaluation.bleu import bleu
from textvae.evaluation.compression import Compression, compression_figures
from textvae.evaluation.information import (
    active_units,
    derangement,
    mi_sentences,
    mutual_information,
)
from textvae.evaluation.interpolations import Interpolations, judge_paths
from textvae.evaluation.labels import label_figures
from textvae.evaluation.likelihood import (
    Chunk,
    Likelihood,
    codes,
    importance_weighted,
    log_likelihoods,
    posterior_sample,
    posteriors,
)
from textvae.evaluation.measurements import Figures
from textvae.evaluation.perplexity import perplexity, unit_lengths
from textvae.evaluation.reconstruction import exact_match, token_accuracy
from textvae.evaluation.refined_posteriors import refine, refined_figures
from textvae.evaluation.samples import Quality, judge_samples
from textvae.evaluation.sentences import Sentences
from textvae.evaluation.subject import Subject, prepared_subject
from textvae.gaussian import DiagonalGaussian
from textvae.models.sentence import SentenceModel
from textvae.progress import Progress

CONVERGED_WITHIN = 0.2  # nats between nll_iw at K and at K/2


def evaluate(
    model: SentenceModel,
    tokenizer: Tokenizer,
    rows: Iterable[Row],
    *,
    name: str = "",
    samples: int = 100,
    seed: int = 0,
    limit: int | None = None,
    truncate: bool = False,
    refine_steps: int = 0,
    interpolations: Interpolations | None = None,
    quality: Quality | None = None,
    compression: Compression | None = None,
    per_sentence: bool = False,
    encoder_tokenizer: Tokenizer | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """The metrics of a model on sentences, with keys in a fixed order, without undefined metrics.

    Values are means over sentences, in nats; `KEY_se` is the standard error of KEY. Blank lines
    are skipped and counted. The values of a sentence do not depend on other sentences, except for
    mutual information and `z_gain`, which compare sentences.

    Args:
        model: a vae, ae or lm.
        tokenizer: the decoder's tokenizer.
        rows: the sentences; if all have a `log_prob`, the report has a `gap`; if one has a label
            and the model a head on labels, the report has `label_accuracy`.
        name: the value of `model` in the report.
        samples: K, importance samples per sentence.
        limit: evaluate a fixed subset of this size, see `lowest_hashes`.
        truncate: truncate sentences above the model's limit instead of raising DataError.
        refine_steps: also refine each posterior by this many gradient steps, see `refine`.
        interpolations: also evaluate paths between random pairs of sentences.
        quality: also evaluate samples of the prior.
        compression: add `rate_distortion` and `lossless`, lists with one dict per code.
        per_sentence: add `sentences`, a list with one dict per sentence.
        encoder_tokenizer: the encoder's own tokenizer; default: shared.

    Raises:
        DataError: there are only blank lines, or sentences above the model's limit.
        UsageError: `samples` or `limit` is below 1, or a metric is undefined for this kind of
            model.
    """
    check_request(model, samples=samples, refine_steps=refine_steps, interpolations=interpolations)
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
    sentences, chunks, writing = subject.sentences, subject.chunks, subject.writing

    figures = Figures()
    figures.value("model", name)
    figures.value("samples", samples)
    figures.value("n_sentences", len(sentences.rows))
    figures.value("n_blank", sentences.n_blank or None)
    figures.value("n_truncated", sentences.n_truncated or None)
    figures.value("seed", seed)
    figures.column("index", sentences.places)
    figures.column("text", sentences.texts)
    vectors: Tensor | None = None  # (N, Z): the ends of paths
    q: DiagonalGaussian | None = None
    if model.posterior is None:
        figures.update(of_language_model(subject))
    elif not model.has_density:
        vectors = codes(model, chunks)
        figures.update(of_autoencoder(subject, vectors))
    else:
        q = posteriors(model, chunks)
        vectors = q.mean
        figures.update(of_vae(subject, q, samples=samples, refine_steps=refine_steps))
    if model.label_head is not None and vectors is not None:
        figures.update(label_figures(model.label_head, vectors, sentences.rows))
    if interpolations is not None and vectors is not None:
        figures.update(
            judge_paths(
                model,
                tokenizer,
                interpolations,
                sentences.texts,
                vectors,
                writing,
                seed=seed,
                progress=progress,
            )
        )
    if quality is not None:
        held_out = sentences.texts
        figures.update(
            judge_samples(
                model, tokenizer, quality, held_out, writing, seed=seed, progress=progress
            )
        )
    if compression is not None:
        figures.update(compression_figures(subject, compression, vectors, q, figures.report))
    if per_sentence:
        figures.value("sentences", figures.sentences)
    return figures.report


def of_language_model(subject: Subject) -> Figures:
    """Exact likelihood and perplexities."""
    figures = Figures()
    nll = -log_likelihoods(subject.model, subject.chunks, None, progress=subject.progress)
    figures.mean("nll_iw", nll, column=True)
    figures.update(perplexities(subject.tokenizer, subject.sentences, nll, subject.writing))
    figures.update(gap(subject.sentences.rows, nll))
    return figures


def of_autoencoder(subject: Subject, z: Tensor) -> Figures:
    """Reconstruction from codes (N, Z)."""
    figures = Figures()
    rec = -log_likelihoods(subject.model, subject.chunks, z, progress=subject.progress)
    figures.mean("rec", rec, column=True)
    figures.value("latent_size", subject.model.latent_size)
    figures.update(reconstruction(subject, z))
    return figures


def of_vae(subject: Subject, q: DiagonalGaussian, *, samples: int, refine_steps: int) -> Figures:
    """Likelihood, information and reconstruction at posteriors (N, Z), also refined ones."""
    figures, model, chunks = Figures(), subject.model, subject.chunks
    seed, progress = subject.seed, subject.progress
    found = importance_weighted(model, chunks, q, samples=samples, seed=seed, progress=progress)
    figures.update(likelihood(found))
    figures.update(perplexities(subject.tokenizer, subject.sentences, found.nll, subject.writing))
    figures.update(information(model, chunks, q, seed=seed, progress=progress))
    figures.update(reconstruction(subject, q.mean))
    figures.update(gap(subject.sentences.rows, found.nll))
    if refine_steps:
        further = refine(model, chunks, q, steps=refine_steps, seed=seed, progress=progress)
        again = importance_weighted(
            model,
            chunks,
            further,
            samples=samples,
            seed=seed,
            progress=progress,
            phase="refined likelihood",
        )
        figures.update(refined_figures(refine_steps, again, found.rec + found.kl))
    return figures


def check_request(
    model: SentenceModel,
    *,
    samples: int,
    refine_steps: int,
    interpolations: Interpolations | None,
) -> None:
    """Raise UsageError if the request is undefined for this kind of model."""
    if samples < 1:
        raise UsageError(
            f"{option('samples', samples)}: expected at least 1 importance sample, e.g. 100"
        )
    if refine_steps < 0:
        raise UsageError(f"{option('refine', refine_steps)}: expected a number of steps, e.g. 10")
    if refine_steps and not model.has_density:
        raise UsageError(
            f"{option('refine', refine_steps)}: a model of kind {model.kind} has no posterior to "
            f"refine; leave {flag('refine')} out, or evaluate a vae"
        )
    if interpolations is not None and model.posterior is None:
        raise UsageError(
            f"{option('interpolations', interpolations.pairs)}: a language model has no latent; "
            f"leave {flag('interpolations')} out, or evaluate a vae or an ae"
        )


def likelihood(found: Likelihood) -> Figures:
    """`rec`, `kl`, the bound, and the importance-weighted estimate with its diagnostics."""
    figures = Figures()
    figures.mean("rec", found.rec, column=True)
    figures.mean("kl", found.kl, column=True)
    figures.mean("nll_elbo", found.rec + found.kl, column=True)
    figures.mean("nll_iw", found.nll, column=True)
    figures.value("ess", float(np.median(found.effective_sample_size)))
    figures.column("ess", found.effective_sample_size.tolist())
    if found.nll_half is not None:
        apart = (found.nll_half - found.nll).mean().item()
        figures.value("nll_iw_half", found.nll_half.mean().item())
        figures.value("converged", apart <= CONVERGED_WITHIN)
    return figures


def perplexities(
    tokenizer: Tokenizer, sentences: Sentences, nll: Tensor, writing: Writing
) -> Figures:
    """Perplexity per word (`ppl_word`), or per character of unspaced text (`ppl_char`).

    Also bits per byte. If the tokenizer gives unknown tokens, the key ends in `_unk`, `unk_rate`
    is the share of unknown tokens (without end tokens), and bits per byte are undefined.
    """
    figures, texts = Figures(), sentences.texts
    key = "ppl_char" if writing == "unspaced" else "ppl_word"
    value, error = perplexity(nll, unit_lengths(texts, writing))
    unknowns = tokenizer.unknown_count(texts)
    if unknowns:
        figures.value(f"{key}_unk", value, error)
        figures.value("unk_rate", unknowns / sum(map(len, sentences.ids)))
    else:
        n_bytes = sum(len(text.encode()) + 1 for text in texts)  # one newline per text
        figures.value(key, value, error)
        figures.value("bits_per_byte", nll.sum().item() / math.log(2) / n_bytes)
    return figures


def information(
    model: SentenceModel,
    chunks: Sequence[Chunk],
    q: DiagonalGaussian,
    *,
    seed: int,
    progress: Progress | None = None,
) -> Figures:
    """Information about the sentences in the latent, and its use by the decoder."""
    figures, z = Figures(), posterior_sample(q, seed)
    rows = mi_sentences(len(z), seed)
    figures.mean("mi", mutual_information(q[rows], z[rows]))
    figures.value("mi_batch", len(rows))
    figures.value("mi_max", math.log(len(rows)))
    figures.value("active_units", active_units(q.mean))
    figures.value("latent_size", model.latent_size)
    if len(z) > 1:
        own = log_likelihoods(model, chunks, z)
        others = z[derangement(len(z), seed)]
        swapped = log_likelihoods(model, chunks, others, progress=progress, phase="z_gain")
        figures.mean("z_gain", own - swapped, column=True)
    return figures


def reconstruction(subject: Subject, z: Tensor) -> Figures:
    """Metrics of greedy reconstruction from posterior means or an autoencoder's codes (N, Z)."""
    figures, texts = Figures(), subject.sentences.texts
    outputs = subject.decoded(z, "reconstruction")
    score, signature = bleu(outputs, texts, subject.writing)
    figures.value("bleu", score)
    figures.value("bleu_signature", signature)
    figures.value("exact_match", exact_match(outputs, texts))
    figures.value("token_accuracy", token_accuracy(subject.model, subject.chunks, z))
    figures.column("reconstruction", outputs)
    return figures


def gap(rows: Sequence[Row], nll: Tensor) -> Figures:
    """The mean of nll + log_prob, the distance from the true model, if all rows have log_prob."""
    figures = Figures()
    known = [row.log_prob for row in rows if row.log_prob is not None]
    if len(known) == len(rows):
        figures.column("log_prob", known)
        figures.mean("gap", nll + torch.tensor(known, dtype=torch.float64), column=True)
    return figures
