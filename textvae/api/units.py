"""What each unit of the latent says of sentences: their length, their words, their factors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from textvae.api.aggregate import Aggregate, aggregate, checked_selection, selected
from textvae.api.encoding import require_latent
from textvae.api.factors import FactorFigures, Labels, factor_figures, read_factors
from textvae.api.protocol import TextModel
from textvae.arguments import seed_of, whole_number
from textvae.data import writing
from textvae.data.input_rows import Sentences, name_of
from textvae.errors import DataError
from textvae.number_format import counted
from textvae.progress import Watcher
from textvae.progress.bars import shows_progress

FEWEST_SENTENCES = 50


@dataclass(frozen=True)
class Unit:
    """What one unit, a dimension of the latent, says of the sentences.

    Args:
        unit: its column in the vectors, from 0.
        kl: mean KL of the posteriors to the prior in this unit, in nats; None where undefined.
        variance: of the posterior means over the sentences.
        length: Spearman correlation with the number of words.
        rising, falling: the words whose presence goes with high and with low values, and their
            point-biserial correlations, the strongest first.
        information: mutual information with each factor, in nats.
        accuracy: of a linear probe for each factor on this unit alone, on held-out sentences.
    """

    unit: int
    kl: float | None
    variance: float
    length: float
    rising: tuple[tuple[str, float], ...]
    falling: tuple[tuple[str, float], ...]
    information: Mapping[str, float]
    accuracy: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """The unit as `textvae traverse --report --json` prints it, without undefined values."""
        record = {key: value for key, value in vars(self).items() if value is not None}
        return record | {"rising": dict(self.rising), "falling": dict(self.falling)}


@dataclass(frozen=True)
class Factor:
    """How well the units stand for a factor, a column of labels.

    Args:
        classes: number of different labels.
        n_labelled: sentences that have a label.
        entropy: of the labels, in nats.
        majority: share of the most frequent label.
        mig: mutual information gap: (the information of the best unit - that of the second) /
            entropy. Chen 2018, section 4.
        completeness: 1 if one unit alone matters for the factor. Eastwood & Williams 2018.
        accuracy: of the random forest on all units that gave the importances, on held-out
            sentences; the informativeness of Eastwood & Williams 2018.
    """

    name: str
    classes: int
    n_labelled: int
    entropy: float
    majority: float
    mig: float
    completeness: float
    accuracy: float


@dataclass(frozen=True)
class UnitReport:
    """What the units of a model say of sentences, the unit with the highest KL first.

    Args:
        disentanglement: 1 if each unit matters for one factor only; None below two factors.
            Eastwood & Williams 2018.
    """

    model: str
    n_sentences: int
    seed: int
    units: tuple[Unit, ...]
    factors: tuple[Factor, ...]
    disentanglement: float | None

    @property
    def mig(self) -> float | None:
        """The mean mutual information gap of the factors; None without factors. Chen 2018."""
        return float(np.mean([one.mig for one in self.factors])) if self.factors else None

    @property
    def completeness(self) -> float | None:
        """The mean completeness of the factors; None without factors."""
        return float(np.mean([one.completeness for one in self.factors])) if self.factors else None

    def to_dict(self) -> dict[str, Any]:
        """The report that `textvae traverse --report --json` prints."""
        scores = {
            "mig": self.mig,
            "disentanglement": self.disentanglement,
            "completeness": self.completeness,
        }
        return {
            "model": self.model,
            "n_sentences": self.n_sentences,
            "seed": self.seed,
            **{key: value for key, value in scores.items() if value is not None},
            "factors": [vars(factor) for factor in self.factors],
            "units": [unit.to_dict() for unit in self.units],
        }


@shows_progress
def units(
    vae: TextModel,
    sentences: Sentences,
    *,
    factors: Sequence[str] | Labels | None = None,
    units: int | None = None,
    unit: Sequence[int] | int | None = None,
    words: int = 3,
    name: str | None = None,
    text_column: str | None = None,
    seed: int | None = 0,
    watcher: Watcher | None = None,
) -> UnitReport:
    """What each unit says of the sentences, the unit with the highest KL first.

    All figures are of the posterior means, the vectors of `encode`. The units of an autoencoder
    have no KL and are in the order of their variance.

    >>> found = vae.units("valid.jsonl", factors=["topic", "tense"])  # doctest: +SKIP
    >>> found.units[0].rising, found.mig  # doctest: +SKIP

    Args:
        sentences: a file, glob, `-` (stdin), `hf:` name, or sentences.
        factors: columns of the file with labels; or, for sentences in memory, the labels of each
            factor. None: the column `label`, or the labels of rows, where there are any.
        units: how many units are listed, those with the highest KL; None: all.
        unit: list these units instead, columns of the vectors, from 0.
        words: words listed for each direction of a unit.
        seed: of the halves that train and test the probes; None takes a fresh one.

    Raises:
        UsageError: a language model, or columns of sentences in memory.
        NotFoundError: no such column.
        DataError: too few sentences, or a factor that does not hold classes.
    """
    seed, n_words = seed_of(seed), whole_number("words", words, least=0, example=3)
    require_latent(vae, "describe units", name)
    selection = checked_selection(units, unit, vae.latent_size, default=vae.latent_size)
    watcher = watcher or Watcher()
    texts, labels = read_factors(vae, sentences, factors, text_column, watcher)
    if len(texts) < FEWEST_SENTENCES:
        raise DataError(
            f"{name_of(sentences)}: {counted(len(texts), 'sentence')}; a report on units needs "
            f"{FEWEST_SENTENCES} or more"
        )
    found = aggregate(vae, texts, watcher, seed=seed)
    figures = [
        factor_figures(factor, column, found.means, seed=seed, watcher=watcher)
        for factor, column in labels.items()
    ]
    scored, disentanglement = _scored(figures)
    return UnitReport(
        model=str(vae.folder or "") if name is None else name,
        n_sentences=len(texts),
        seed=seed,
        units=tuple(_described(found, texts, n_words, figures, selected(found.order, selection))),
        factors=scored,
        disentanglement=disentanglement,
    )


def _described(
    found: Aggregate,
    texts: Sequence[str],
    n_words: int,
    figures: Sequence[FactorFigures],
    chosen: Sequence[int],
) -> Iterator[Unit]:
    """The chosen units, with all figures."""
    from textvae.latent.units import rank_correlations, word_correlations

    style = writing.writing_of(texts)
    lengths = np.array([len(writing.units(text, style)) for text in texts])
    length = rank_correlations(found.means, lengths)
    correlated = word_correlations(found.means, (writing.words(text, style) for text in texts))
    for unit in chosen:
        yield Unit(
            unit=unit,
            kl=None if found.kl is None else float(found.kl[unit]),
            variance=float(found.variances[unit]),
            length=float(length[unit]),
            rising=tuple(correlated.rising(unit, n_words)),
            falling=tuple(correlated.falling(unit, n_words)),
            information={factor.name: float(factor.information[unit]) for factor in figures},
            accuracy={factor.name: float(factor.accuracies[unit]) for factor in figures},
        )


def _scored(figures: Sequence[FactorFigures]) -> tuple[tuple[Factor, ...], float | None]:
    """The factors with their scores, and the disentanglement of all."""
    from textvae.latent.disentanglement import dci, information_gaps

    if not figures:
        return (), None
    entropies = np.array([factor.entropy for factor in figures])
    gaps = information_gaps(np.stack([one.information for one in figures], axis=1), entropies)
    scores = dci(np.stack([factor.importances for factor in figures], axis=1))
    scored = tuple(
        Factor(
            name=factor.name,
            classes=factor.classes,
            n_labelled=factor.n_labelled,
            entropy=factor.entropy,
            majority=factor.majority,
            mig=float(gap),
            completeness=float(completeness),
            accuracy=factor.accuracy,
        )
        for factor, gap, completeness in zip(figures, gaps, scores.completeness, strict=True)
    )
    return scored, scores.disentanglement
