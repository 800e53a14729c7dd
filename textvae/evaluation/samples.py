"""Metrics of prior samples, and the same metrics of real sentences for comparison."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from textvae.data.tokenizers import Tokenizer
from textvae.data.writing import Writing
from textvae.decoding.generation import Sampling, default_decoding, generate
from textvae.errors import UsageError
from textvae.evaluation.bleu import self_bleu
from textvae.evaluation.diversity import distinct_2, found_in
from textvae.evaluation.measurements import Figures
from textvae.evaluation.perplexity import Scorer, scored_perplexity
from textvae.evaluation.sentences import lowest_hashes
from textvae.latent.divergence import FEWEST, divergence
from textvae.models.sentence import SentenceModel
from textvae.progress import Progress
from textvae.randomness.purposes import DIVERGENCE
from textvae.randomness.seeds import derived_seed

MOST_COMPARED = 5_000  # sentences of each set for the divergence, as in Pillutla 2021


@dataclass(frozen=True)
class SentenceEncoder:
    """A function from texts to vectors (N, D), and its name."""

    name: str
    encode: Callable[[Sequence[str]], NDArray[np.floating]]


@dataclass(frozen=True)
class Quality:
    """Settings and inputs for the metrics of samples; an input of None skips its metrics.

    Args:
        samples: the number of prior samples to evaluate.
        decoding: how they are decoded; None: the model's default.
        training_texts: the training set, for `copied`; read once, may be a stream.
        scorer: a language model trained on the training set, for `ppl_forward`.
        train_scorer: trains a language model on texts, for `ppl_reverse`.
        real_texts: real sentences outside the evaluated set, for `ppl_reverse_real`.
        reverse_samples: the number of texts for `train_scorer`.
        encoder: makes the vectors for `divergence_area`.

    Raises:
        UsageError: a number of samples is below 1.
    """

    samples: int
    decoding: Sampling | None = None
    training_texts: Iterable[str] | None = None
    scorer: Scorer | None = None
    train_scorer: Callable[[Sequence[str]], Scorer] | None = None
    real_texts: Sequence[str] | None = None
    reverse_samples: int = 10_000
    encoder: SentenceEncoder | None = None

    def __post_init__(self) -> None:
        if min(self.samples, self.reverse_samples) < 1:
            raise UsageError(f"quality of {self.samples} samples: expected at least 1, e.g. 1000")


def judge_samples(
    model: SentenceModel,
    tokenizer: Tokenizer,
    quality: Quality,
    held_out: Sequence[str],
    writing: Writing,
    *,
    seed: int,
    progress: Progress | None = None,
) -> Figures:
    """The metrics of `quality.samples` samples, and `KEY_real` for as many held-out sentences.

    `real_sentences` is the number of held-out sentences used. If there are fewer than samples,
    `distinct_2_real` is absent, because it depends on the number. Perplexities are per word, or
    per character of unspaced text.
    """
    decoding = quality.decoding or default_decoding(model)
    reverse = quality.reverse_samples if quality.train_scorer is not None else 0
    drawn = sample_texts(
        model, tokenizer, max(quality.samples, reverse), decoding, seed=seed, progress=progress
    )
    samples = drawn[: quality.samples]
    real = [held_out[i] for i in lowest_hashes(held_out, quality.samples)]

    figures = Figures()
    figures.value("quality_samples", len(samples))
    figures.value("quality_decoding", str(decoding))
    figures.value("real_sentences", len(real))
    for key, texts in (("self_bleu", samples), ("self_bleu_real", real)):
        if len(texts) > 1:
            figures.mean(key, self_bleu(texts, writing))
    figures.value("distinct_2", distinct_2(samples, writing))
    if len(real) == len(samples):
        figures.value("distinct_2_real", distinct_2(real, writing))
    if quality.training_texts is not None:
        found = found_in([*samples, *real], quality.training_texts)
        figures.mean("copied", found[: len(samples)])
        figures.mean("copied_real", found[len(samples) :])
    if quality.encoder is not None:
        figures.update(divergences(quality.encoder, samples, held_out, seed=seed))
    if quality.scorer is not None:
        figures.value("ppl_forward", *scored_perplexity(quality.scorer, samples, writing))
        figures.value("ppl_forward_real", *scored_perplexity(quality.scorer, real, writing))
    if quality.train_scorer is not None:
        scorer = quality.train_scorer(drawn[:reverse])
        figures.value("ppl_reverse", *scored_perplexity(scorer, held_out, writing))
        others = quality.real_texts or ()
        if len(others) >= reverse:
            scorer = quality.train_scorer([others[i] for i in lowest_hashes(others, reverse)])
            figures.value("ppl_reverse_real", *scored_perplexity(scorer, held_out, writing))
    return figures


def divergences(
    encoder: SentenceEncoder, samples: Sequence[str], held_out: Sequence[str], *, seed: int
) -> Figures:
    """`divergence_area` of samples and real sentences, and `divergence_area_real` of two halves.

    The held-out sentences are divided at random. The first half is compared with as many samples
    and with the other half, so both areas have the same number of sentences and of clusters. No
    figures for less than 20 sentences of a set.
    """
    figures, seed = Figures(), derived_seed(seed, DIVERGENCE)
    n = min(len(samples), len(held_out) // 2, MOST_COMPARED)
    if n < FEWEST:
        return figures
    order = np.random.default_rng(seed).permutation(len(held_out))
    first, second = ([held_out[i] for i in order[part]] for part in (slice(n), slice(n, 2 * n)))
    places: dict[str, int] = {}
    rows = [places.setdefault(text, len(places)) for text in [*first, *second, *samples[:n]]]
    vectors = encoder.encode(list(places))[rows]
    real, other, drawn = vectors[:n], vectors[n : 2 * n], vectors[2 * n :]
    for key, others in (("divergence_area", drawn), ("divergence_area_real", other)):
        found = divergence(others, real, seed=seed)
        figures.value(key, found.area, found.error)
    figures.value("divergence_sentences", n)
    figures.value("divergence_encoder", encoder.name)
    return figures


def sample_texts(
    model: SentenceModel,
    tokenizer: Tokenizer,
    n: int,
    decoding: Sampling | None = None,
    *,
    seed: int,
    progress: Progress | None = None,
) -> list[str]:
    """The texts of n samples of the model; sample i depends only on (seed, i)."""
    decoding = decoding or default_decoding(model)
    ids = []
    for sample in generate(model, n, decoding, seed=seed):
        ids.append(sample)
        if progress is not None:
            progress("samples", len(ids), n)
    return tokenizer.decode(ids)
