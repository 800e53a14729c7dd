"""Factors: columns of labels, and how the units of a code stand for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from textvae.api.protocol import TextModel
from textvae.data.columns import LABEL
from textvae.data.input_rows import Sentences, name_of, prepared_rows, warn_of_blank
from textvae.errors import DataError, UsageError, flag
from textvae.number_format import counted
from textvae.progress import Watcher

_STRENGTH = 1.0  # C of the linear probes; on a single feature the choice hardly matters

Labels: TypeAlias = Mapping[str, Sequence[str | None]]  # of all sentences, by factor


def read_factors(
    vae: TextModel,
    sentences: Sentences,
    factors: Sequence[str] | Labels | None,
    text_column: str | None,
    watcher: Watcher,
) -> tuple[list[str], Labels]:
    """The texts without blank ones, and their labels; a file is read once for each factor.

    Raises:
        UsageError: columns of sentences in memory, or several columns of stdin.
        DataError: there is not one label for each sentence, or the labels are no classes.
    """
    columns = _columns(sentences, factors)

    def read(column: str | None) -> tuple[list[str], list[str | None]]:
        rows = list(
            prepared_rows(
                sentences,
                vae.config.data,
                text_column=text_column,
                label_column=column,
                remarks=watcher.remarks,
            )
        )
        return [row.text for row in rows], [row.label for row in rows]

    texts, first = read(columns[0] if columns else None)
    labels: dict[str, Sequence[str | None]] = {}
    if isinstance(factors, Mapping):
        labels = {name: list(given) for name, given in factors.items()}
    elif columns:
        labels[columns[0]] = first
        labels.update((column, read(column)[1]) for column in columns[1:])
    elif any(label is not None for label in first):
        labels = {LABEL: first}
    for name, given in labels.items():
        _check_length(name_of(sentences), name, given, len(texts))
    texts, kept = _with_text(name_of(sentences), texts, labels, watcher)
    for name, given in kept.items():
        _check(name_of(sentences), name, given, watcher)
    return texts, kept


def _with_text(
    source: str, texts: list[str], labels: Labels, watcher: Watcher
) -> tuple[list[str], Labels]:
    """The texts without blank ones, and their labels; warns of the blank ones, if any."""
    spoken = [bool(text.strip()) for text in texts]
    if all(spoken):
        return texts, labels
    warn_of_blank(spoken.count(False), source, watcher.warn)
    return list(compress(texts, spoken)), {
        name: list(compress(given, spoken)) for name, given in labels.items()
    }


def _columns(sentences: Sentences, factors: Sequence[str] | Labels | None) -> list[str]:
    """The columns to read, each once."""
    in_file = isinstance(sentences, str | Path)
    if factors is None:
        return []
    if isinstance(factors, Mapping):
        if in_file:
            raise UsageError(f"the factors of a file are columns; try factors={list(factors)}")
        return []
    columns = list(dict.fromkeys([factors] if isinstance(factors, str) else factors))
    if columns and not in_file:
        raise UsageError(
            "sentences in memory have no columns; give the labels of each factor, such as "
            f"factors={{{columns[0]!r}: labels}}"
        )
    if len(columns) > 1 and name_of(sentences) == "stdin":
        raise UsageError(
            f"stdin is read once and gives one column, but {flag('factors')} names "
            f"{len(columns)}; save the text in a file"
        )
    return columns


def _check_length(source: str, name: str, labels: Sequence[str | None], n_texts: int) -> None:
    """Raise DataError unless there is a label for each sentence."""
    if len(labels) != n_texts:
        raise DataError(
            f"{source}: {counted(len(labels), 'label')} of {name!r} for "
            f"{counted(n_texts, 'sentence')}; give one for each, or None"
        )


def _check(source: str, name: str, labels: Sequence[str | None], watcher: Watcher) -> None:
    """Raise DataError where there are no labels, or these are no classes."""
    from textvae.classification.task import check_classes, warn_of_missing
    from textvae.data.rows import Row

    rows = [Row("", label) for label in labels if label is not None]
    if not rows:
        raise DataError(f"{source}: no label in column {name!r}; name another in {flag('factors')}")
    warn_of_missing(source, rows, watcher.warn)
    check_classes(source, rows, name, option_name="factors")


@dataclass(frozen=True, eq=False)
class FactorFigures:
    """How the Z units of a code stand for one factor.

    Args:
        classes, n_labelled, entropy, majority: as in `textvae.api.units.Factor`.
        information: mutual information with each unit in nats, (Z,).
        accuracies: of a linear probe on each unit alone, on held-out sentences, (Z,).
        importances: of each unit for a random forest on all units, (Z,).
        accuracy: of the forest, on held-out sentences.
    """

    name: str
    classes: int
    n_labelled: int
    entropy: float
    majority: float
    information: NDArray[np.float64]
    accuracies: NDArray[np.float64]
    importances: NDArray[np.float64]
    accuracy: float


def factor_figures(
    name: str,
    labels: Sequence[str | None],
    codes: NDArray[np.floating],
    *,
    seed: int,
    watcher: Watcher,
) -> FactorFigures:
    """How the units of codes (N, Z) stand for the factor; half of the sentences test the probes."""
    from textvae.classification.linear import stratified_folds
    from textvae.classification.probes import codes_of
    from textvae.latent.disentanglement import importances
    from textvae.latent.units import entropy, factor_information

    labelled = np.array([label is not None for label in labels])
    names, classes = codes_of([str(label) for label in labels if label is not None])
    codes = codes[labelled]
    train = stratified_folds(classes, 2, seed) == 0
    accuracies = []
    for unit in codes.T:
        accuracies.append(_probe_accuracy(unit[:, None], classes, train))
        watcher.progress(f"probing {name}", len(accuracies), codes.shape[1] + 1)
    importance, accuracy = importances(codes, classes, train, seed=seed)
    watcher.progress(f"probing {name}", codes.shape[1] + 1, codes.shape[1] + 1)
    return FactorFigures(
        name=name,
        classes=len(names),
        n_labelled=len(classes),
        entropy=entropy(classes),
        majority=float(np.bincount(classes).max() / len(classes)),
        information=factor_information(codes, classes),
        accuracies=np.array(accuracies),
        importances=importance,
        accuracy=accuracy,
    )


def _probe_accuracy(
    features: NDArray[np.floating], classes: NDArray[np.intp], train: NDArray[np.bool_]
) -> float:
    """The accuracy on the other rows of a linear classifier that is fitted to `train`."""
    from textvae.classification.linear import fit
    from textvae.classification.probes import moments

    mean, scale = moments(features[train])
    standardised: Any = (features - mean) / scale
    classifier = fit(standardised[train], classes[train], strength=_STRENGTH)
    return float((classifier.predict(standardised[~train]) == classes[~train]).mean())
