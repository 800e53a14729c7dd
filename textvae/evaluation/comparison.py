"""Several models on the same sentences: the report of each, and how they differ sentence by
sentence, which is known much better than the difference of their means.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from textvae.data.rows import Row
from textvae.data.tokenizers import Tokenizer
from textvae.evaluation.figures import Figures
from textvae.evaluation.report import evaluate
from textvae.evaluation.samples import Quality
from textvae.evaluation.sentences import lowest_hashes
from textvae.models.sentence import SentenceModel
from textvae.progress import Progress

PAIRED = ("nll_iw", "nll_elbo", "rec")  # nats of a sentence, whatever its tokens are


@dataclass(frozen=True)
class Candidate:
    """A model to compare, and the sentences as it reads them.

    Args:
        name: stands under `model`.
        model: a vae, ae or lm.
        tokenizer: of the decoder.
        rows: the sentences; those of all candidates come from the same lines, in one order.
        quality: also judge samples of its prior.
    """

    name: str
    model: SentenceModel
    tokenizer: Tokenizer
    rows: Sequence[Row]
    quality: Quality | None = None
    encoder_tokenizer: Tokenizer | None = None  # where the encoder has its own


def compare(
    candidates: Iterable[Candidate],
    *,
    samples: int = 100,
    seed: int = 0,
    limit: int | None = None,
    truncate: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """{"models": the report of each, see `evaluate`; "differences": from the first, one by one}.

    A difference has `model`, `minus` (the first model's name), `n_sentences`, and for each of
    `nll_iw`, `nll_elbo` and `rec` that both models have: its mean over these sentences less that
    of the first model, in nats, and beside it the standard error of the paired differences. Only
    sentences count that both models read as the same text: not those that one of them cuts or
    lower-cases.

    Args:
        candidates: one or more; each is asked for when the one before is done.
        samples: K, importance samples a sentence.
        limit: compare on the fixed subset that `evaluate` takes of the first model's sentences.
        truncate: cut sentences above a model's limit instead of refusing them.

    Raises:
        DataError: nothing but blank lines, or sentences above a model's limit.
        UsageError: `samples` or `limit` below 1.
    """
    reports: list[dict[str, Any]] = []
    sentences: list[dict[int, dict[str, Any]]] = []  # of each model, by their place
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
    """Where the sentences of the subset stand, and the blank lines, which each report counts."""
    if limit is None:
        return list(range(len(rows)))
    spoken = [place for place, row in enumerate(rows) if row.text.strip()]
    texts = [rows[place].text for place in spoken]
    chosen = {spoken[i] for i in lowest_hashes(texts, limit)}
    return [place for place, row in enumerate(rows) if place in chosen or not row.text.strip()]


def paired(
    own: dict[int, dict[str, Any]], first: dict[int, dict[str, Any]]
) -> dict[str, float | int]:
    """Means of own minus first over the sentences of equal text, with their standard errors.

    Both map places to what `evaluate` says of a sentence.
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
