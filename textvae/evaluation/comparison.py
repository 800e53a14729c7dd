"""Comparison of models on the same sentences: a report for each, and paired differences.

Paired differences have much smaller standard errors than differences of means.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from textvae.data.rows import Row
from textvae.data.tokenizers import Tokenizer
from textvae.evaluation.measurements import Figures
from textvae.evaluation.report import evaluate
from textvae.evaluation.samples import Quality
from textvae.evaluation.sentences import lowest_hashes
from textvae.models.sentence import SentenceModel
from textvae.progress import Progress

PAIRED = ("nll_iw", "nll_elbo", "rec")  # nats per sentence, so independent of the tokenizer


@dataclass(frozen=True)
class Candidate:
    """A model to compare, and its sentences, prepared as the model needs.

    Args:
        name: the value of `model` in the report.
        model: a vae, ae or lm.
        tokenizer: the decoder's tokenizer.
        rows: the sentences, from the same lines in the same order for all candidates.
        quality: also evaluate samples of the prior.
    """

    name: str
    model: SentenceModel
    tokenizer: Tokenizer
    rows: Sequence[Row]
    quality: Quality | None = None
    encoder_tokenizer: Tokenizer | None = None  # the encoder's own tokenizer; None: shared


def compare(
    candidates: Iterable[Candidate],
    *,
    samples: int = 100,
    seed: int = 0,
    limit: int | None = None,
    truncate: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """{"models": a report per model, see `evaluate`; "differences": of each other to the first}.

    A difference has `model`, `minus` (the name of the first model) and `n_sentences`. For each of
    `nll_iw`, `nll_elbo` and `rec` that both models have, it also has the mean difference to the
    first model over these sentences, in nats, and the standard error of the paired differences.
    Only sentences with the same text in both models count; a sentence that one model truncates or
    lower-cases is skipped.

    Args:
        candidates: one or more; the next one is requested when the previous one is done.
        samples: K, importance samples per sentence.
        limit: compare on the fixed subset that `evaluate` would take for the first model.
        truncate: truncate sentences above a model's limit instead of raising DataError.

    Raises:
        DataError: there are only blank lines, or sentences above a model's limit.
        UsageError: `samples` or `limit` is below 1.
    """
    reports: list[dict[str, Any]] = []
    sentences: list[dict[int, dict[str, Any]]] = []  # of each model, by index
    chosen: list[int] | None = None
    for candidate in candidates:
        if chosen is None:
            chosen = chosen_places(candidate.rows, limit)
        report = evaluate(
            candidate.model,
            candidate.tokenizer,
            [candidate.rows[place] for place in chosen],
            name=candidate.name,
            samples=samples,
            seed=seed,
            truncate=truncate,
            quality=candidate.quality,
            per_sentence=True,
            encoder_tokenizer=candidate.encoder_tokenizer,
            progress=None if progress is None else partial(_of_model, progress, candidate.name),
        )
        sentences.append({sentence["index"]: sentence for sentence in report.pop("sentences")})
        reports.append(report)
    differences = [
        {"model": report["model"], "minus": reports[0]["model"]} | paired(own, sentences[0])
        for report, own in zip(reports[1:], sentences[1:], strict=True)
    ]
    return {"models": reports, "differences": differences}


def chosen_places(rows: Sequence[Row], limit: int | None) -> list[int]:
    """The indices of the sentences in the subset, and of blank lines, which reports count."""
    if limit is None:
        return list(range(len(rows)))
    spoken = [place for place, row in enumerate(rows) if row.text.strip()]
    texts = [rows[place].text for place in spoken]
    chosen = {spoken[i] for i in lowest_hashes(texts, limit)}
    return [place for place, row in enumerate(rows) if place in chosen or not row.text.strip()]


def paired(
    own: dict[int, dict[str, Any]], first: dict[int, dict[str, Any]]
) -> dict[str, float | int]:
    """Means of `own` minus `first` over sentences with equal text, with standard errors.

    Both map the index of a sentence to its values from `evaluate`.
    """
    common = [
        (sentence, first[place])
        for place, sentence in own.items()
        if place in first and sentence["text"] == first[place]["text"]
    ]
    figures = Figures()
    figures.value("n_sentences", len(common))
    for key in PAIRED:
        if common and all(key in sentence for sentence in common[0]):
            nats = torch.tensor([(a[key], b[key]) for a, b in common], dtype=torch.float64)
            figures.mean(key, nats[:, 0] - nats[:, 1])
    return figures.report


def _of_model(progress: Progress, name: str, phase: str, done: int, total: int) -> None:
    progress(f"{name}: {phase}", done, total)
