"""Linear classifiers on frozen vectors: with few labels, with all, and by cross-validation.

Statistics that need no labels (the mean and scale of each dimension, the vocabulary and weights of
TF-IDF) come from all training texts. Labels, and with them the choice of the regularisation, come
from the labelled sentences that were drawn. Nothing comes from the test.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from textvae.classification.linear import fit, stratified_folds, stratified_order
from textvae.errors import DataError, UsageError

if TYPE_CHECKING:
    from textvae.classification.linear import Matrix
    from textvae.progress import Progress

MAX_FOLDS = 1000


@dataclass(frozen=True)
class Split:
    """The rows that train and the rows that test, as indices into one set of sentences."""

    train: NDArray[np.intp]
    test: NDArray[np.intp]


Representation = Callable[[Split], "tuple[Matrix, Matrix]"]  # features of training and test rows


@dataclass(frozen=True)
class Run:
    """The figures of a classifier on a test, from 0 to 1."""

    split: int
    seed: int
    n_labels: int
    accuracy: float
    macro_f1: float
    strength: float | None  # C; None for the majority class


# the rows


def one_split(n_train: int, n_test: int) -> Split:
    """The first rows train, those after them test."""
    rows = np.arange(n_train + n_test)
    return Split(rows[:n_train], rows[n_train:])


def cross_validation(labels: NDArray[np.intp], folds: int, seed: int) -> list[Split]:
    """A split for each stratified fold; the fold is its test.

    Raises:
        UsageError: fewer than 2 folds, or more than there are rows.
    """
    most = min(len(labels), MAX_FOLDS)
    if not 2 <= folds <= most:
        raise UsageError(f"{folds} folds of {len(labels):,} sentences; use 2 to {most:,}")
    fold_of = stratified_folds(labels, folds, seed)
    return [
        Split(np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold))
        for fold in range(folds)
    ]


def in_training(split: Split, texts: Sequence[str]) -> NDArray[np.bool_]:
    """True for each test text that also occurs in training, ignoring case and spacing, (N,)."""
    known = {same_text(texts[row]) for row in split.train}
    return np.array([same_text(texts[row]) in known for row in split.test], dtype=bool)


def same_text(text: str) -> str:
    """A form that is equal for texts that differ only in case and white space.

    >>> same_text("  The soup ")
    'the soup'
    """
    return " ".join(text.casefold().split())


def unseen(splits: Sequence[Split], labels: NDArray[np.intp]) -> int:
    """The number of test rows whose class does not occur in the training rows of their split."""
    return sum(int((~np.isin(labels[s.test], labels[s.train])).sum()) for s in splits)


def without_duplicates(split: Split, texts: Sequence[str]) -> Split:
    """The split without the test texts that also occur in training.

    Raises:
        DataError: no test text is left.
    """
    kept = split.test[~in_training(split, texts)]
    if len(kept) == 0:
        raise DataError("every test text also occurs in training: nothing is left to test")
    return Split(split.train, kept)


def alike(labels: Iterable[str]) -> list[list[str]]:
    """Groups of labels that are probably one class, written differently.

    They differ only in case, spacing, Unicode form, invisible characters, or number format.

    >>> alike(["pos", "neg", "Pos", "1.0", "1"])
    [['1', '1.0'], ['Pos', 'pos']]
    """
    groups: dict[str, list[str]] = {}
    for label in sorted(set(labels)):
        groups.setdefault(_rough_form(label), []).append(label)
    return [group for group in groups.values() if len(group) > 1]


def _rough_form(label: str) -> str:
    visible = (c for c in unicodedata.normalize("NFKC", label) if unicodedata.category(c) != "Cf")
    form = same_text("".join(visible))
    try:
        return repr(float(form))
    except ValueError:
        return form


# the features


def majority(split: Split) -> tuple[Matrix, Matrix]:
    """No features: the classifier predicts the most frequent class."""
    return np.empty((len(split.train), 0)), np.empty((len(split.test), 0))


def standardised(vectors: NDArray[np.floating]) -> Representation:
    """Vectors (N, D) standardised by mean and standard deviation of the training texts."""

    def represent(split: Split) -> tuple[Matrix, Matrix]:
        mean, scale = moments(vectors[split.train])
        return (vectors[split.train] - mean) / scale, (vectors[split.test] - mean) / scale

    return represent


def moments(vectors: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each dimension, (D,); 1 for a constant dimension."""
    mean, deviation = vectors.mean(0, dtype=np.float64), vectors.std(0, dtype=np.float64)
    return mean, np.where(deviation > 1e-12 * (1 + np.abs(mean)), deviation, 1.0)


def tfidf(texts: Sequence[str]) -> Representation:
    """TF-IDF of words and word pairs; in text without spaces, of characters and their pairs.

    In lower case; a word is a run of letters and digits, or one punctuation mark.
    """

    def represent(split: Split) -> tuple[Matrix, Matrix]:
        from sklearn.feature_extraction.text import TfidfVectorizer

        from textvae.data.writing import WORD, writing_of

        train = [texts[row] for row in split.train]
        if not any(text.strip() for text in train):
            return majority(split)
        if writing_of(train) == "unspaced":
            vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 2))
        else:
            vectorizer = TfidfVectorizer(ngram_range=(1, 2), token_pattern=WORD)
        return vectorizer.fit_transform(train), vectorizer.transform(
            texts[row] for row in split.test
        )

    return represent


# the figures


def probe(
    representations: Mapping[str, Representation],
    labels: NDArray[np.intp],
    splits: Sequence[Split],
    sizes: Sequence[int | None],
    seeds: Sequence[int],
    progress: Progress | None = None,
    strengths: Mapping[str, float] | None = None,
) -> dict[tuple[str, int | None], list[Run]]:
    """The runs of each representation at each number of labels.

    A run is a split and a seed. The seed draws the labelled rows and the folds that choose the
    regularisation. All representations get the same draws, and the draws of a seed are nested. With
    all labels (a size of None) nothing is drawn, and only the first seed is used.

    Args:
        labels: of all rows, (N,).
        sizes: how many labelled rows; None: all of the split.
        strengths: C of the representations for which it is not chosen, by name.
    """
    fixed = strengths or {}
    runs: dict[tuple[str, int | None], list[Run]] = {
        (name, size): [] for size in sizes for name in representations
    }
    draws = [(size, seed) for size in sizes for seed in (seeds[:1] if size is None else seeds)]
    done, total = 0, len(splits) * len(representations) * len(draws)
    for number, split in enumerate(splits):
        orders = {seed: stratified_order(labels[split.train], seed) for seed in seeds}
        for name, represent in representations.items():
            train, test = represent(split)
            for size, seed in draws:
                chosen = orders[seed][:size]
                run = one_run(train, test, labels, split, chosen, number, seed, fixed.get(name))
                runs[name, size].append(run)
                done += 1
                if progress is not None:
                    progress("probing", done, total)
    return runs


def one_run(
    train: Matrix,
    test: Matrix,
    labels: NDArray[np.intp],
    split: Split,
    chosen: NDArray[np.intp],
    number: int,
    seed: int,
    strength: float | None = None,
) -> Run:
    """The run that trains on the `chosen` training rows and tests on all test rows."""
    train, test = without_unused_columns(train[chosen], test)
    classifier = fit(train, labels[split.train][chosen], seed=seed, strength=strength)
    accuracy, macro_f1 = scores(labels[split.test], classifier.predict(test))
    return Run(number, seed, len(chosen), accuracy, macro_f1, classifier.strength)


def without_unused_columns(train: Matrix, test: Matrix) -> tuple[Matrix, Matrix]:
    """The features without sparse columns that are zero in `train`, whose weights would be zero."""
    if isinstance(train, np.ndarray):
        return train, test
    used = np.unique(train.indices)
    return train[:, used], test[:, used]


def scores(truth: NDArray[np.intp], predicted: NDArray[np.intp]) -> tuple[float, float]:
    """Accuracy and macro F1: the mean over the classes of the test."""
    from sklearn.metrics import f1_score

    macro_f1 = f1_score(truth, predicted, labels=np.unique(truth), average="macro", zero_division=0)
    return float((truth == predicted).mean()), float(macro_f1)


def summary(runs: Sequence[Run]) -> dict[str, Any]:
    """Means over the runs and, for two or more, standard deviations (n - 1)."""
    report: dict[str, Any] = {"n_labels": round(sum(run.n_labels for run in runs) / len(runs))}
    for key in ("accuracy", "macro_f1"):
        values = np.array([getattr(run, key) for run in runs])
        report[key] = float(values.mean())
        if len(runs) > 1:
            report[f"{key}_sd"] = float(values.std(ddof=1))
    return report | {"n_runs": len(runs)}


def usable_sizes(
    sizes: Sequence[int | None], splits: Sequence[Split]
) -> tuple[list[int | None], list[int]]:
    """The sizes that every split has enough rows for, and the other sizes."""
    most = min(len(split.train) for split in splits)
    kept = [size for size in sizes if size is None or size <= most]
    return kept, [size for size in sizes if size is not None and size > most]


def codes_of(labels: Sequence[str]) -> tuple[list[str], NDArray[np.intp]]:
    """The classes in order, and the index of each label among them, (N,)."""
    classes, codes = np.unique(np.asarray(labels, dtype=object), return_inverse=True)
    return [str(name) for name in classes], codes.astype(np.intp)
