"""Labelled sentences of files, what is trained and tested on them, and their vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from textvae.cli import sentences
from textvae.cli.output import Output, human
from textvae.errors import DataError, shown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from textvae.api import TextVAE
    from textvae.cli.progress import Progress
    from textvae.data.readers import Row
    from textvae.evaluation.probes import Split
    from textvae.models.sentence import Layer


@dataclass(frozen=True)
class Task:
    """Sentences with labels, and which of them train and test.

    Args:
        texts: as they stand in the files; those of the training file, then those of the test.
        codes: the label of each as a place in `classes`, (N,).
        n_train: sentences of the training file.
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


def read_task(
    train: str,
    test: str | None,
    folds: int | None,
    output: Output,
    *,
    text_column: str | None,
    label_column: str | None,
    seed: int,
) -> Task:
    """Train on one file and test on another; or, without the other, on the folds of the one.

    Raises:
        DataError: a file without labels, or with what are no classes.
    """
    from textvae.evaluation import probes

    def labelled(file: str) -> list[Row]:
        return read_labelled(file, output, text_column=text_column, label_column=label_column)

    training = labelled(train)
    check_classes(train, training)
    testing = [] if test is None else labelled(test)
    rows = training + testing
    texts = [row.text for row in rows]
    classes, codes = probes.codes_of([str(row.label) for row in rows])
    if folds is None:
        warn_of_unknown(train, training, testing, output)
        splits = [probes.one_split(len(training), len(testing))]
    else:
        splits = probes.cross_validation(codes, folds, seed)
    n_duplicates = sum(int(probes.in_training(split, texts).sum()) for split in splits)
    n_test = sum(len(split.test) for split in splits)
    return Task(texts, codes, classes, len(training), splits, n_duplicates, n_test)


def without_duplicates(task: Task) -> Task:
    """The task without the test texts that stand among the training texts.

    Raises:
        DataError: a test of which nothing is left.
    """
    from textvae.evaluation import probes

    return replace(
        task, splits=[probes.without_duplicates(split, task.texts) for split in task.splits]
    )


def read_labelled(
    file: str, output: Output, *, text_column: str | None, label_column: str | None
) -> list[Row]:
    """The rows of `file` that have a label; the others are counted and left out.

    Raises:
        DataError: no row has one.
    """
    rows = list(
        sentences.raw_rows(file, output, text_column=text_column, label_column=label_column)
    )
    kept = [row for row in rows if row.label is not None]
    if not kept:
        raise DataError(
            f"{file}: no label in {human(len(rows))} lines; expected .tsv, .csv, .jsonl or "
            ".parquet with a column `label`, or one that --label-column names"
        )
    if len(kept) < len(rows):
        n = len(rows) - len(kept)
        output.warn(f"{file}: {human(n)} of {human(len(rows))} lines, without a label, left out")
    return kept


def check_classes(file: str, rows: Sequence[Row]) -> None:
    """Raise DataError where the labels are no classes that a classifier could learn."""
    known = {row.label for row in rows}
    if len(known) < 2:
        raise DataError(f"{file}: every label is {shown(rows[0].label)}; a classifier needs two")
    if len(known) > 20 and 2 * len(known) > len(rows):
        raise DataError(
            f"{file}: {len(known):,} different labels in {len(rows):,} lines are no classes; "
            "choose another column with --label-column"
        )


def warn_of_unknown(
    file: str, training: Sequence[Row], testing: Sequence[Row], output: Output
) -> None:
    """Warn of test sentences whose label only the test has."""
    known = {row.label for row in training}
    n = sum(row.label not in known for row in testing)
    if n:
        output.warn(f"{n:,} test labels do not stand in {file}; each counts as an error")


def encode_all(
    vae: TextVAE,
    texts: Sequence[str],
    progress: Progress,
    *,
    layer: Layer | None = "latent",
    normalize: bool = False,
    phase: str = "encoding",
) -> NDArray[np.float32]:
    """The vectors of all texts, (N, D); with no layer, the averages of their words' vectors."""
    import numpy as np

    def encode(chunk: Sequence[str]) -> NDArray[np.float32]:
        if layer is None:
            return vae.word_average(chunk)
        return vae.encode(chunk, layer=layer, normalize=normalize)

    parts = [encode([])]
    for start in range(0, len(texts), sentences.CHUNK):
        parts.append(encode(texts[start : start + sentences.CHUNK]))
        progress(phase, min(start + sentences.CHUNK, len(texts)), len(texts))
    return np.concatenate(parts)


def tell_all_cut(vae: TextVAE, texts: Sequence[str], output: Output) -> None:
    """Say how many of the texts exceed the model's limit."""
    parts = range(0, len(texts), sentences.CHUNK)
    n_cut = sum(vae.overlong(texts[start : start + sentences.CHUNK]) for start in parts)
    sentences.tell_cut(n_cut, vae, output)
