"""The labels that a training reads: their classes, and what may be wrong with them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from textvae.classification.task import too_many_classes, warn_of_similar
from textvae.config import Config
from textvae.data.columns import LABEL
from textvae.data.corpus import EncodedCorpus
from textvae.data.doubts import missing_labels
from textvae.data.labels import label_codes, label_counts
from textvae.data.prepare import Corpora
from textvae.errors import DataError, flag, shown, worded
from textvae.models.label_head import MOST_CLASSES
from textvae.number_format import counted, human
from textvae.training.reporting import Reporter

MOST_BYTES = 1 << 19  # of all classes in config.json


@dataclass(frozen=True, eq=False)  # tensors have no single truth value
class Labels:
    """The classes of a training, and the class of each sentence.

    Args:
        classes: the labels of the training sentences, in alphabetical order.
        train, valid: the place of each sentence's label in `classes`, (N,) int64; negative for a
            sentence without a label, and for a label that is not in `classes`.
    """

    classes: tuple[str, ...]
    train: Tensor
    valid: Tensor


def read_labels(
    config: Config, corpora: Corpora, reporter: Reporter, own_classes: Sequence[str] | None = None
) -> Labels | None:
    """The labels of the corpora; None if the loss has no term for labels.

    Warns of labels that hardly are classes, and of validation labels without a training sentence.

    Args:
        own_classes: the classes of a resumed run; None: those of the training sentences.

    Raises:
        DataError: no training sentence has a label, or there are too many classes.
    """
    if not config.objective.label_weight:
        return None
    column = config.data.label_column or LABEL
    counts, in_valid = label_counts(corpora.train), label_counts(corpora.valid)
    if not counts:
        raise DataError(
            f"no training sentence has a label in column {shown(column)}; name another column with "
            f"{flag('label_column')}{worded('', ', give rows Row(text, label) of textvae.api')} or "
            f"leave out {worded('objective.', '')}label_weight"
        )
    classes = tuple(own_classes or sorted(counts))
    _check_number(classes, column)
    _warn_of_doubts(counts, in_valid, classes, column, reporter)
    labelled, all_of_them = human(counts.total()), counted(len(corpora.train), "training sentence")
    reporter.message(f"{labelled} of {all_of_them} have one of {counted(len(classes), 'label')}")
    return Labels(classes, _codes(corpora.train, classes), _codes(corpora.valid, classes))


def _codes(corpus: EncodedCorpus, classes: Sequence[str]) -> Tensor:
    return torch.from_numpy(label_codes(corpus, classes))


def _check_number(classes: Sequence[str], column: str) -> None:
    """Raise DataError for more classes than a model can describe."""
    if len(classes) > MOST_CLASSES or len(json.dumps(classes)) > MOST_BYTES:
        raise DataError(
            f"column {shown(column)} has {human(len(classes))} distinct labels; expected at most "
            f"{human(MOST_CLASSES)} short ones. Is it a class column? Choose another with "
            f"{flag('label_column')}, or group the values"
        )


def _warn_of_doubts(
    counts: Counter[str],
    in_valid: Counter[str],
    classes: Sequence[str],
    column: str,
    reporter: Reporter,
) -> None:
    where = f"column {shown(column)}"
    if len(counts) == 1:
        reporter.warn(
            f"{where}: every label is {shown(next(iter(counts)))}; the label loss needs two classes"
        )
    many = too_many_classes(counts, counts.total())
    if many is not None:
        reporter.warn(
            f"{where} has {many}; is it a class column? Choose another with "
            f"{flag('label_column')}, or group the values"
        )
    missing = missing_labels(counts.elements())
    if missing is not None:
        reporter.warn(f"{where}: {missing}")
    warn_of_similar(counts, reporter.warn)
    known = set(classes)
    unseen = sum(n for label, n in in_valid.items() if label not in known)
    if unseen:
        errors = "it counts as an error" if unseen == 1 else "each counts as an error"
        do = "does" if unseen == 1 else "do"
        reporter.warn(f"{counted(unseen, 'validation label')} {do} not occur in training; {errors}")
    if not in_valid:
        reporter.warn("no validation sentence has a label, so there is no label_accuracy")
