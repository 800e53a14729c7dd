"""A classification task: labelled sentences, and which of them train and test."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from textvae.data.columns import LABEL
from textvae.data.doubts import missing_labels
from textvae.data.input_rows import Sentences, name_of, rows_from
from textvae.errors import DataError, UsageError, flag, option, shown, worded
from textvae.number_format import counted, human
from textvae.progress import Remarks, Say

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from textvae.classification.probes import Split
    from textvae.data.rows import Row

ROWS = "[Row(text, label) for text, label in zip(texts, labels)], Row from textvae.api"
FEW_CLASSES = 20  # up to so many labels are taken for classes, however few the rows


@dataclass(frozen=True)
class Task:
    """Sentences with labels, and which of them train and test.

    Args:
        texts: as they stand in the source; the training sentences, then the test sentences.
        codes: the label of each as a place in `classes`, (N,).
        n_train: sentences of the training source.
        splits: one, or one a fold.
        n_duplicates: test texts that also stand among the training texts of their split.
        n_test: test texts, those left out of `splits` included.
    """

    texts: list[str]
    codes: NDArray[np.intp]
    classes: list[str]
    n_train: int
    splits: list[Split]
    n_duplicates: int
    n_test: int


def check_design(
    train: Sentences, test: Sentences | None, folds: int | None, seeds: int | None
) -> None:
    """Raise UsageError unless there is either a test or a number of folds."""
    if test is None and folds is None:
        names = worded("TEST", "test"), worded("TRAIN", "train")
        raise UsageError(
            f"{names[0]} is missing: name a file, or cross-validate {names[1]} with "
            f"{option('folds', 10)}"
        )
    if test is not None and folds is not None:
        raise UsageError(
            f"{option('folds', folds)} tests on parts of {worded('TRAIN', 'train')}; leave out "
            f"{worded(f'--folds or {name_of(test)}', 'folds or test')}"
        )
    if folds is not None and seeds is not None:
        seeds_of, of_folds = flag("seeds"), flag("folds")
        raise UsageError(
            f"{seeds_of} does not apply with {of_folds}, which vary the test; leave it out"
        )
    if all(isinstance(source, str) and source == "-" for source in (train, test)):
        raise UsageError(f"{worded('TRAIN and TEST', 'train and test')} cannot both be stdin")
    if test is train and isinstance(train, Iterator):
        raise UsageError("train and test are one iterator, which is read once; give two lists")


def read_task(
    train: Sentences,
    test: Sentences | None,
    folds: int | None,
    *,
    text_column: str | None,
    label_column: str | None,
    seed: int,
    warn: Say,
    remarks: Remarks | None = None,
) -> Task:
    """The task to train on one source and test on another, or on the folds of the one.

    Raises:
        DataError: a source without labels, or a column that does not hold classes.
    """
    from textvae.classification import probes

    def labelled(source: Sentences) -> list[Row]:
        return read_labelled(
            source, text_column=text_column, label_column=label_column, warn=warn, remarks=remarks
        )

    training = labelled(train)
    in_memory = not isinstance(train, str | Path)
    check_classes(name_of(train), training, None if in_memory else label_column or LABEL)
    testing = [] if test is None else labelled(test)
    rows = training + testing
    texts = [row.text for row in rows]
    classes, codes = probes.codes_of([str(row.label) for row in rows])
    warn_of_similar(classes, warn)
    if folds is None:
        splits = [probes.one_split(len(training), len(testing))]
    else:
        splits = probes.cross_validation(codes, folds, seed)
    warn_of_unseen(probes.unseen(splits, codes), name_of(train), folds, warn)
    n_duplicates = sum(int(probes.in_training(split, texts).sum()) for split in splits)
    n_test = sum(len(split.test) for split in splits)
    return Task(texts, codes, classes, len(training), splits, n_duplicates, n_test)


def without_duplicates(task: Task) -> Task:
    """The task without the test texts that stand among the training texts.

    Raises:
        DataError: no test text remains.
    """
    from textvae.classification import probes

    return replace(
        task, splits=[probes.without_duplicates(split, task.texts) for split in task.splits]
    )


def read_labelled(
    source: Sentences,
    *,
    text_column: str | None,
    label_column: str | None,
    warn: Say,
    remarks: Remarks | None = None,
) -> list[Row]:
    """The rows that have a label; warns of the number of those that have none.

    Raises:
        DataError: no row has one.
    """
    name = name_of(source)
    in_memory = not isinstance(source, str | Path)
    try:
        rows = list(
            rows_from(source, text_column=text_column, label_column=label_column, remarks=remarks)
        )
    except UsageError as error:
        if not in_memory:
            raise
        raise UsageError(f"{error}; with labels: {ROWS}") from None
    kept = [row for row in rows if row.label is not None]
    if not rows:
        raise DataError(f"{name}: no sentences in it; expected a header and labelled sentences")
    if not kept and in_memory:
        raise DataError(f"{name}: no sentence has a label; give rows: {ROWS}")
    if not kept:
        raise DataError(
            f"{name}: no label in {counted(len(rows), 'line')}; expected .tsv, .csv, .jsonl or "
            ".parquet with a column `label`, or one that "
            f"{flag('label_column')} names"
        )
    if len(kept) < len(rows):
        n, of = human(len(rows) - len(kept)), counted(len(rows), "line")
        warn(f"{name}: skipped {n} of {of} without a label")
    warn_of_missing(name, kept, warn)
    return kept


def warn_of_missing(name: str, rows: Iterable[Row], warn: Say) -> None:
    """Warn of labels that programs write where one is missing, such as NaN."""
    warning = missing_labels(row.label for row in rows)
    if warning is not None:
        warn(f"{name}: {warning}")


def check_classes(
    name: str, rows: Sequence[Row], column: str | None, *, option_name: str = "label_column"
) -> None:
    """Raise DataError where the labels are not classes that a classifier could learn.

    Args:
        column: the column with the labels; None: the rows come from no table.
        option_name: the option that names the column.
    """
    known = {row.label for row in rows}
    if len(known) < 2:
        raise DataError(f"{name}: every label is {shown(rows[0].label)}; a classifier needs two")
    found = too_many_classes(known, len(rows))
    if found is not None:
        if column is None:
            raise DataError(f"{name}: {found}; are they classes? Group the values")
        raise DataError(
            f"{name}: column {shown(column)} has {found}; is it a class column? Choose another "
            f"with {option(option_name)}, or group the values"
        )


def too_many_classes(known: Collection[str | None], n_rows: int) -> str | None:
    """How many distinct labels the rows have, where that is too many for classes; else None."""
    if len(known) > FEW_CLASSES and (
        2 * len(known) > n_rows or (10 * len(known) > n_rows and is_quantity(known))
    ):
        kind = "distinct fractional numbers" if is_quantity(known) else "distinct labels"
        return f"{len(known):,} {kind} in {n_rows:,} rows"
    return None


def is_quantity(labels: Collection[str | None]) -> bool:
    """True if all labels are numbers and some have fractions: measurements rather than classes."""
    try:
        return not all(float(str(label)).is_integer() for label in labels)
    except ValueError:
        return False


def warn_of_unseen(n: int, name: str, folds: int | None, warn: Say) -> None:
    """Warn of `n` test sentences whose class does not occur in training."""
    if not n:
        return
    errors = "it counts as an error" if n == 1 else "each counts as an error"
    if folds is None:
        do = "does" if n == 1 else "do"
        warn(f"{counted(n, 'test label')} {do} not occur in {name}; {errors}")
    else:
        have = "has" if n == 1 else "have"
        warn(
            f"{counted(n, 'sentence')} of {name} {have} a label that occurs in no other fold; "
            f"{errors}"
        )


def warn_of_similar(labels: Iterable[str], warn: Say) -> None:
    """Warn of labels that differ only in case, spacing, Unicode form or number format."""
    from textvae.classification.probes import alike

    groups = [" and ".join(map(repr, group)) for group in alike(labels)]
    if groups:
        more = f", {counted(len(groups) - 3, 'more such group')}" if len(groups) > 3 else ""
        warn(
            f"these labels count as different classes: {', '.join(groups[:3])}{more}; make them "
            "equal if they are one class"
        )
