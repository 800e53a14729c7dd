"""How usual sentences are for a model, and which of them do not belong."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from numbers import Real

import numpy as np

from textvae.api.protocol import TextModel
from textvae.api.sentence_scores import MEASURES, Measure, ModelScorer, SentenceScore
from textvae.arguments import seed_of, whole_number
from textvae.data.input_rows import Sentences, name_of, read_stdin_once, warn_if_empty
from textvae.errors import DataError, UsageError, flag, option, shown
from textvae.models.prior import CodeGaussian
from textvae.number_format import counted, human
from textvae.progress import Watcher
from textvae.progress.bars import shows_progress

SAMPLES = 20  # importance samples; 100 rank sentences alike and take five times as long
QUANTILE = 0.95


@dataclass(frozen=True)
class Scores:
    """The scores of sentences, in the order of the input.

    Args:
        measure: what the threshold is compared with.
        threshold: None if none was asked for.
    """

    model: str
    measure: Measure
    threshold: float | None
    sentences: tuple[SentenceScore, ...] = field(repr=False)

    def __iter__(self) -> Iterator[SentenceScore]:
        return iter(self.sentences)


@shows_progress
def score(
    vae: TextModel,
    sentences: Sentences,
    *,
    name: str | None = None,
    reference: Sentences | None = None,
    threshold: Sentences | float | None = None,
    quantile: float = QUANTILE,
    measure: Measure | None = None,
    samples: int = SAMPLES,
    text_column: str | None = None,
    label_column: str | None = None,
    seed: int | None = 0,
    watcher: Watcher | None = None,
) -> Scores:
    """The likelihood of each sentence, and the distance of its latent to those of a reference.

    >>> found = vae.score("new.txt", threshold="valid.txt")  # doctest: +SKIP
    >>> [one.text for one in found if one.unusual]  # doctest: +SKIP

    Args:
        sentences: a file, glob, `-` (stdin), `hf:` name, or sentences.
        reference: sentences such as those of the training; their posterior means have the mean and
            the covariance of the distance. Blank lines are skipped, here and in `threshold`. None:
            the training codes of an autoencoder; no distance for a vae.
        threshold: sentences that belong, not used in training: the `quantile` of their measure is
            the threshold. Or the threshold itself.
        measure: the figure that the threshold is for: `nll_per_byte`, `nll_per_word`, `nll_iw` or
            `distance`; None: `nll_per_byte`, for an autoencoder `distance`.
        samples: K, importance samples a sentence. Burda 2016, eq. 8.
        seed: None takes a fresh one.

    Raises:
        UsageError: a measure that the model does not have, or a measure without a threshold.
        DataError: too few sentences in the reference, or none for the threshold.
    """
    scoring = iter_score(
        vae,
        sentences,
        name=name,
        reference=reference,
        threshold=threshold,
        quantile=quantile,
        measure=measure,
        samples=samples,
        text_column=text_column,
        label_column=label_column,
        seed=seed,
        watcher=watcher,
    )
    return Scores(scoring.name, scoring.measure, scoring.threshold, tuple(scoring))


def iter_score(
    vae: TextModel,
    sentences: Sentences,
    *,
    name: str | None = None,
    reference: Sentences | None = None,
    threshold: Sentences | float | None = None,
    quantile: float = QUANTILE,
    measure: Measure | None = None,
    samples: int = SAMPLES,
    text_column: str | None = None,
    label_column: str | None = None,
    seed: int | None = 0,
    watcher: Watcher | None = None,
) -> Scoring:
    """The scores of `score`, one by one, in bounded memory; reference and threshold at the call."""
    read_stdin_once(sentences, reference, threshold)
    scorer = ModelScorer(
        vae,
        whole_number("samples", samples, least=1, example=SAMPLES),
        seed_of(seed),
        watcher or Watcher(),
        text_column,
    )
    if reference is not None:
        scorer = replace(scorer, gaussian=scorer.fitted(reference))
    elif isinstance(vae.model.prior, CodeGaussian) and vae.model.prior.is_fitted:
        scorer = replace(scorer, gaussian=vae.model.prior)
    figures = scorer.figures()
    chosen = _checked_measure(measure, figures, vae)
    if measure is not None and threshold is None:
        raise UsageError(
            f"{option('measure', measure)} has no effect without {flag('threshold')}; leave "
            f"{flag('measure')} out: every figure is given"
        )
    level, quantile = None, _checked_quantile(quantile, threshold)
    if threshold is not None:
        level = _threshold(scorer, threshold, quantile, chosen)
    source, warn = name_of(sentences), scorer.watcher.warn
    rows = warn_if_empty(scorer.rows(sentences, label_column), source, warn)
    return Scoring(
        name=str(vae.folder or "") if name is None else name,
        measure=chosen,
        threshold=level,
        figures=figures,
        _scores=scorer.scores(rows, source, "scoring"),
    )


@dataclass(frozen=True)
class Scoring:
    """The scores of sentences, computed while they are read, once.

    Args:
        figures: those that the model has.
    """

    name: str
    measure: Measure
    threshold: float | None
    figures: tuple[Measure, ...]
    _scores: Iterator[SentenceScore] = field(repr=False)

    def __iter__(self) -> Iterator[SentenceScore]:
        if self.threshold is None:
            yield from self._scores
            return
        for one in self._scores:
            yield replace(one, unusual=getattr(one, self.measure) > self.threshold)


def _threshold(
    scorer: ModelScorer, threshold: Sentences | float, quantile: float, measure: Measure
) -> float:
    """The threshold that was given, or the quantile of the measure of its sentences."""
    if _is_number(threshold):
        level = float(threshold)  # type: ignore[arg-type]  # just checked
        if not math.isfinite(level):
            raise UsageError(f"{option('threshold', level)}: expected a finite number or a file")
        return level
    source = name_of(threshold)  # type: ignore[arg-type]
    rows = scorer.known(threshold)  # type: ignore[arg-type]
    values = [getattr(one, measure) for one in scorer.scores(rows, source, "threshold")]
    if not values:
        raise DataError(f"{source}: no sentence to take the threshold from")
    level = float(np.quantile(values, quantile, method="higher"))
    scorer.watcher.note(
        f"threshold: {measure} {human(level)}, the {quantile:g} quantile of "
        f"{counted(len(values), 'sentence')} of {source}"
    )
    return level


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _checked_quantile(quantile: object, threshold: object) -> float:
    if not _is_number(quantile) or not 0 <= float(quantile) <= 1:  # type: ignore[arg-type]
        raise UsageError(f"{option('quantile')}: {shown(quantile)}; expected 0 to 1, such as 0.95")
    if quantile != QUANTILE and (threshold is None or _is_number(threshold)):
        raise UsageError(
            f"{option('quantile', quantile)} has no effect without {flag('threshold')}, a file of "
            "sentences that belong"
        )
    return float(quantile)  # type: ignore[arg-type]


def _checked_measure(measure: str | None, figures: tuple[Measure, ...], vae: TextModel) -> Measure:
    """The measure, or the first that the model has.

    Raises:
        UsageError: the model does not have the measure.
    """
    if measure in figures:
        return measure  # type: ignore[return-value]
    if measure is None and figures:
        return figures[0]
    if measure not in (None, *MEASURES):
        raise UsageError(f"{option('measure', measure)} is unknown; try {', '.join(MEASURES)}")
    if measure == "distance" or measure is None:
        why = f"a distance needs sentences to compare with: {option('reference')}"
        if vae.model.encoder is None:
            why = "a language model has no latent, so no distance"
    else:
        why = "an autoencoder has no density of text; try distance"
    raise UsageError(f"{option('measure', measure or 'distance')}: {why}")
