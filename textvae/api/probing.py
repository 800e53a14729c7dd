"""Linear classifiers on frozen sentence vectors, by number of labelled sentences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from textvae.api.encoding import average_all, fingerprint_of, require_latent
from textvae.api.probe_vectors import (
    Kind,
    LayerVectors,
    ProbeLayer,
    checked_layers,
    kinds_of_vectors,
    representations,
    row_name,
    vectors_of,
)
from textvae.api.protocol import TextModel
from textvae.arguments import distance, seed_of, whole_number
from textvae.data.input_rows import Sentences
from textvae.errors import UsageError, option, shown, worded
from textvae.models.sentence import Layer
from textvae.number_format import counted, human
from textvae.progress import Progress, Watcher
from textvae.progress.bars import shows_progress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from textvae.classification.classifier import SentenceClassifier
    from textvae.classification.probes import Run
    from textvae.classification.task import Task

ALL: Literal["all"] = "all"
Size: TypeAlias = int | Literal["all"]  # how many labelled sentences
SIZES: tuple[Size, ...] = (50, 250, 500, 1000, 5000, ALL)
SEEDS = 5


@dataclass(frozen=True)
class ProbeResult:
    """How well one kind of vectors predicts the labels, at one number of labelled sentences.

    Args:
        vectors: `majority class`, `TF-IDF`, `word average`, or the name of a model.
        layer, normalize: of a model's vectors; None of a baseline. The layer `both` has the latent
            and the encoder's vector side by side.
        labels: how many labelled sentences, or `all`.
        runs: one for each draw of the labelled sentences, or for each fold.
    """

    vectors: str
    layer: ProbeLayer | None
    normalize: bool | None
    labels: Size
    runs: tuple[Run, ...]

    @property
    def name(self) -> str:
        """Vectors, layer and length: unique, even for a model named like a baseline."""
        return row_name(self.vectors, self.layer, self.normalize)

    @property
    def figures(self) -> dict[str, Any]:
        """Means over the runs: n_labels, accuracy, macro_f1, their deviations `KEY_sd`, n_runs."""
        from textvae.classification.probes import summary

        return summary(self.runs)

    def to_dict(self) -> dict[str, Any]:
        """The result as `textvae probe --json` prints it."""
        kind: dict[str, Any] = {"vectors": self.vectors}
        if self.layer is not None:
            kind |= {"layer": self.layer, "normalize": self.normalize}
        runs = [asdict(run) for run in self.runs]
        return {**kind, "labels": self.labels, **self.figures, "runs": runs}


@dataclass(frozen=True)
class Probe:
    """The results of linear classifiers on several kinds of vectors.

    Args:
        train, test: names of the sources; `test` is None where `folds` are tested.
        layers: of the models' vectors; `fit_classifier` reads the first.
        dimensions: the first dimensions of each vector, where not all were used.
        strength: the C of the classifiers of vectors, where it was not chosen on held-out folds.
        n_duplicates: test texts that also stand in training, whether they were left out or not.
        fit_classifier: trains the classifier of all training sentences, for `TextVAE.classify`.
    """

    model: str
    train: str
    test: str | None
    folds: int | None
    n_train: int
    n_test: int
    n_duplicates: int
    without_duplicates: bool
    classes: list[str]
    layers: tuple[ProbeLayer, ...]
    normalize: bool
    dimensions: int | None
    strength: float | None
    seed: int
    results: tuple[ProbeResult, ...]
    fit_classifier: Callable[[], SentenceClassifier] = field(repr=False, compare=False)

    @property
    def layer(self) -> ProbeLayer:
        """The first of `layers`."""
        return self.layers[0]

    def to_dict(self) -> dict[str, Any]:
        """The report that `textvae probe --json` prints."""
        return {
            "model": self.model,
            "train": self.train,
            **({"test": self.test} if self.folds is None else {"folds": self.folds}),
            "n_train": self.n_train,
            "n_test": self.n_test,
            "n_duplicates": self.n_duplicates,
            "without_duplicates": self.without_duplicates,
            "classes": self.classes,
            "layer": self.layer,
            "layers": list(self.layers),
            "normalize": self.normalize,
            **({} if self.dimensions is None else {"dimensions": self.dimensions}),
            **({} if self.strength is None else {"strength": self.strength}),
            "seed": self.seed,
            "results": [result.to_dict() for result in self.results],
        }


@shows_progress
def probe(
    vae: TextModel,
    train: Sentences,
    test: Sentences | None = None,
    *,
    name: str | None = None,
    against: Mapping[str, TextModel] | None = None,
    labels: Sequence[Size] | None = None,
    seeds: int | None = None,
    folds: int | None = None,
    layer: ProbeLayer | Sequence[ProbeLayer] = "latent",
    normalize: bool = False,
    dimensions: int | None = None,
    strength: float | None = None,
    without_duplicates: bool = False,
    text_column: str | None = None,
    label_column: str | None = None,
    seed: int | None = 0,
    watcher: Watcher | None = None,
) -> Probe:
    """How well linear classifiers on a model's vectors predict labels, beside baselines.

    >>> found = vae.probe("train.tsv", "test.tsv", labels=[100, "all"])  # doctest: +SKIP
    >>> found.results[-1].figures["accuracy"]  # doctest: +SKIP
    >>> found.fit_classifier().save("sentiment.safetensors")  # doctest: +SKIP

    Args:
        train, test: labelled sentences: a file, or rows (`textvae.api.Row`); or `folds`.
        against: other models by name.
        labels: numbers of labelled sentences; None: 50 to 5,000 and all, with `folds` all.
        seeds: draws of each number; None: 5.
        folds: cross-validate `train`.
        layer: `latent`, `encoder`, `both` side by side, or a list of these, each with results.
        normalize, dimensions: as in `encode`, for each layer.
        strength: C of the logistic regression of vectors; None: chosen on held-out folds. The
            baselines of words always choose theirs.
        seed: None takes a fresh one, which the result names.
        without_duplicates: leave out test texts that also occur in training.

    Raises:
        UsageError: neither `test` nor `folds`, or both; a language model.
        DataError: no labels, or a column that does not hold classes.
    """
    from textvae.classification.task import check_design, read_task
    from textvae.classification.task import without_duplicates as dropped

    seed = seed_of(seed)
    for argument, number, least in (("seeds", seeds, 1), ("folds", folds, 2)):
        if number is not None:
            whole_number(argument, number, least=least, example=5)
    check_design(train, test, folds, seeds)
    layers = checked_layers(layer)
    strength = None if strength is None else _checked_strength(strength)
    watcher = watcher or Watcher()
    name = str(vae.folder or "model") if name is None else name
    models = _models(vae, name, against or {})
    if isinstance(labels, int | str):
        labels = [labels]  # type: ignore[list-item]  # checked as the items of a list are
    if labels is None:
        labels = SIZES if folds is None else (ALL,)
    task = read_task(
        train,
        test,
        folds,
        text_column=text_column or vae.config.data.text_column,
        label_column=label_column,
        seed=seed,
        warn=watcher.warn,
        remarks=watcher.remarks,
    )
    sizes = _usable_sizes(labels, task, watcher)
    _note_duplicates(task, without_duplicates, watcher)
    if without_duplicates:
        task = dropped(task)
    words = average_all(vae, task.texts, watcher.progress)
    vectors = {
        own: vectors_of(model, own, task.texts, layers, normalize, dimensions, watcher)
        for own, model in models.items()
    }
    kinds = kinds_of_vectors(list(models), layers, normalize)
    draws = range(seed, seed + (1 if folds is not None else seeds or SEEDS))
    results = _results(kinds, task, words, vectors, sizes, draws, strength, watcher.progress)

    def fit_classifier() -> SentenceClassifier:
        first = layers[0]
        if first == "both":
            raise UsageError(
                "a classifier reads the vectors of one layer; name latent or encoder first"
            )
        found = vectors[name][first]
        return _classifier_of(vae, found, task, first, normalize, strength, seed)

    return Probe(
        model=name,
        train=_shown(train),
        test=None if test is None else _shown(test),
        folds=folds,
        n_train=task.n_train,
        n_test=sum(len(split.test) for split in task.splits),
        n_duplicates=task.n_duplicates,
        without_duplicates=without_duplicates,
        classes=task.classes,
        layers=layers,
        normalize=normalize,
        dimensions=dimensions,
        strength=strength,
        seed=seed,
        results=results,
        fit_classifier=fit_classifier,
    )


def _checked_strength(strength: float) -> float:
    if distance("strength", strength) == 0:
        raise UsageError(f"{option('strength', 0)}: expected C, a number above 0; try 0.1")
    return float(strength)


def _shown(source: Sentences) -> str:
    return str(source) if isinstance(source, str | Path) else "texts"


def _models(vae: TextModel, name: str, against: Mapping[str, TextModel]) -> dict[str, TextModel]:
    """All models by name.

    Raises:
        UsageError: a name occurs twice, or a model is a language model.
    """
    if name in against:
        raise UsageError(f"{name} is named twice; name each model once")
    models = {name: vae, **against}
    for own, model in models.items():
        require_latent(model, "probe", own)
    return models


def _usable_sizes(labels: Sequence[Size], task: Task, watcher: Watcher) -> list[int | None]:
    """The numbers of labels that there are sentences for, ascending; None, at the end, is all.

    Raises:
        UsageError: a number below 1, or none that there are enough sentences for.
    """
    from textvae.classification import probes

    numbers = sorted({_size(size) for size in labels if size != ALL})
    sizes: list[int | None] = [*numbers, *([None] if ALL in labels else [])]
    kept, left_out = probes.usable_sizes(sizes, task.splits)
    if left_out:
        n = counted(min(len(split.train) for split in task.splits), "sentence")
        said = ", ".join(map(human, left_out))
        if not kept:
            raise UsageError(
                f"{worded('--labels ', 'labels=')}{said}: only {n} to train on; use fewer, or `all`"
            )
        watcher.note(f"left out: {said} labels; only {n} to train on")
    return kept


def _size(size: object) -> int:
    try:
        return whole_number("labels", size, least=1, example=100)
    except UsageError:
        raise UsageError(
            f"labels {shown(size)}: expected whole numbers above 0 and `all`"
        ) from None


def _note_duplicates(task: Task, dropped: bool, watcher: Watcher) -> None:
    """Say how many test texts stand among the training texts."""
    if task.n_duplicates:
        n, texts = human(task.n_duplicates), counted(task.n_test, "test text")
        what = "left out" if dropped else f"{option('without_duplicates', True)} leaves them out"
        occur = "occurs" if task.n_duplicates == 1 else "occur"
        watcher.note(f"{n} of {texts} also {occur} in training: {what}")


def _results(
    kinds: Mapping[str, Kind],
    task: Task,
    words: NDArray[np.float32],
    vectors: Mapping[str, LayerVectors],
    sizes: Sequence[int | None],
    draws: Sequence[int],
    strength: float | None,
    progress: Progress,
) -> tuple[ProbeResult, ...]:
    """The result of each kind of vectors at each number of labelled sentences."""
    from textvae.classification import probes

    features = representations(kinds, task, words, vectors)
    fixed = {} if strength is None else {row: strength for row, kind in kinds.items() if kind[1]}
    runs = probes.probe(features, task.codes, task.splits, sizes, draws, progress, strengths=fixed)
    return tuple(
        ProbeResult(*kinds[row], labels=ALL if size is None else size, runs=tuple(found))
        for (row, size), found in runs.items()
    )


def _classifier_of(
    vae: TextModel,
    vectors: NDArray[np.float32],
    task: Task,
    layer: Layer,
    normalize: bool,
    strength: float | None,
    seed: int,
) -> SentenceClassifier:
    """The classifier of all training sentences."""
    from textvae.classification.classifier import train_classifier

    return train_classifier(
        vectors[: task.n_train],
        task.codes[: task.n_train],
        task.classes,
        layer=layer,
        normalize=normalize,
        fingerprint=fingerprint_of(vae),
        seed=seed,
        strength=strength,
    )
