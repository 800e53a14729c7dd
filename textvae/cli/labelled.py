"""Labelled sentences of files, what is trained and tested on them, and their vectors."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from textvae.cli import sentences
from textvae.cli.output import Output
from textvae.errors import DataError, shown
from textvae.wording import counted, human

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from textvae.api import TextVAE
    from textvae.classification.probes import Split
    from textvae.data.readers import Row
    from textvae.models.sentence import Layer
    from textvae.progress import Progress


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
    from textvae.classification import probes

    def labelled(file: str) -> list[Row]:
        return read_labelled(file, output, text_column=text_column, label_column=label_column)

    training = labelled(train)
    check_classes(train, training)
    testing = [] if test is None else labelled(test)
    rows = training + testing
    texts = [row.text for row in rows]
    classes, codes = probes.codes_of([str(row.label) for row in rows])
    warn_of_alike(classes, output)
    if folds is None:
        splits = [probes.one_split(len(training), len(testing))]
    else:
        splits = probes.cross_validation(codes, folds, seed)
    warn_of_unseen(probes.unseen(splits, codes), train, folds, output)
    n_duplicates = sum(int(probes.in_training(split, texts).sum()) for split in splits)
    n_test = sum(len(split.test) for split in splits)
    return Task(texts, codes, classes, len(training), splits, n_duplicates, n_test)


def without_duplicates(task: Task) -> Task:
    """The task without the test texts that stand among the training texts.

    Raises:
        DataError: a test of which nothing is left.
    """
    from textvae.classification import probes

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
    if not rows:
        raise DataError(
            f"{file}: no sentences in it; expected a labelled one a line, below a header"
        )
    if not kept:
        raise DataError(
            f"{file}: no label in {counted(len(rows), 'line')}; expected .tsv, .csv, .jsonl or "
            ".parquet with a column `label`, or one that --label-column names"
        )
    if len(kept) < len(rows):
        n = len(rows) - len(kept)
        of = counted(len(rows), "line")
        output.warn(f"{file}: {human(n)} of {of} left out, for want of a label")
    warn_of_missing(file, kept, output)
    return kept


def warn_of_missing(file: str, rows: Iterable[Row], output: Output) -> None:
    """Warn of labels that programs write where one is missing, such as NaN."""
    from textvae.data.doubts import missing_labels

    warning = missing_labels(row.label for row in rows)
    if warning is not None:
        output.warn(f"{file}: {warning}")


def check_classes(file: str, rows: Sequence[Row]) -> None:
    """Raise DataError where the labels are no classes that a classifier could learn."""
    known = {row.label for row in rows}
    if len(known) < 2:
        raise DataError(f"{file}: every label is {shown(rows[0].label)}; a classifier needs two")
    if len(known) > 20 and (
        2 * len(known) > len(rows) or (10 * len(known) > len(rows) and is_quantity(known))
    ):
        numbers = "numbers with fractions" if is_quantity(known) else "different labels"
        raise DataError(
            f"{file}: {len(known):,} {numbers} in {len(rows):,} lines are no classes; "
            "choose another column with --label-column, or make groups of them"
        )


def is_quantity(labels: Collection[str | None]) -> bool:
    """Whether labels are all numbers, some with fractions: measured, more likely than named."""
    try:
        return not all(float(str(label)).is_integer() for label in labels)
    except ValueError:
        return False


def warn_of_unseen(n: int, file: str, folds: int | None, output: Output) -> None:
    """Warn of `n` test sentences with a class that has nothing to be learnt from."""
    if not n:
        return
    counts = "it counts as an error" if n == 1 else "each counts as an error"
    if folds is None:
        does = "does" if n == 1 else "do"
        output.warn(f"{counted(n, 'test label')} {does} not stand in {file}; {counts}")
    else:
        has = "has" if n == 1 else "have"
        what = f"{counted(n, 'sentence')} of {file} {has} a label that their fold alone has"
        output.warn(f"{what}; {counts}")


def warn_of_alike(labels: Iterable[str], output: Output) -> None:
    """Warn of labels that are likely to be one, written in several ways."""
    from textvae.classification.probes import alike

    groups = [" and ".join(map(repr, group)) for group in alike(labels)]
    if groups:
        more = f", {counted(len(groups) - 3, 'more such group')}" if len(groups) > 3 else ""
        output.warn(
            f"these labels count as different classes: {', '.join(groups[:3])}{more}; write them "
            "alike if they are one"
        )


def encode_all(
    vae: TextVAE,
    texts: Sequence[str],
    output: Output,
    progress: Progress,
    *,
    layer: Layer = "latent",
    normalize: bool = False,
    phase: str = "encoding",
) -> NDArray[np.float32]:
    """The vectors of all texts, (N, D); says how many texts exceeded the model's limit."""
    n_cut = 0

    def encode(chunk: Sequence[str]) -> NDArray[np.float32]:
        nonlocal n_cut
        found = vae.embed(chunk, layer=layer, normalize=normalize)
        n_cut += found.cut
        return found.vectors

    vectors = by_chunks(encode, texts, progress, phase)
    sentences.tell_cut(n_cut, vae, output)
    return vectors


def average_all(
    vae: TextVAE, texts: Sequence[str], progress: Progress, *, phase: str = "word vectors"
) -> NDArray[np.float32]:
    """The average of the vectors of each text's words, (N, E)."""
    return by_chunks(vae.word_average, texts, progress, phase)


def by_chunks(
    encode: Callable[[Sequence[str]], NDArray[np.float32]],
    texts: Sequence[str],
    progress: Progress,
    phase: str,
) -> NDArray[np.float32]:
    """What `encode` gives for all texts, some at a time, (N, D)."""
    import numpy as np

    parts = [encode([])]
    for start in range(0, len(texts), sentences.CHUNK):
        parts.append(encode(texts[start : start + sentences.CHUNK]))
        progress(phase, min(start + sentences.CHUNK, len(texts)), len(texts))
    return np.concatenate(parts)
