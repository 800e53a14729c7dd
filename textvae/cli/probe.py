"""`textvae probe`: what a linear classifier reads off a model's vectors, by number of labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from textvae.cli import options
from textvae.cli.compare import check_distinct
from textvae.cli.evaluate import whatever_happens, write_json
from textvae.cli.output import Output
from textvae.errors import UsageError
from textvae.files.atomic import replacing
from textvae.files.destination import check_folder
from textvae.wording import counted, human

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from textvae.api import TextVAE
    from textvae.classification.probes import Representation, Run
    from textvae.cli.labelled import Task
    from textvae.models.sentence import Layer

EXAMPLES = (
    "textvae probe runs/mine train.tsv test.tsv --labels 100,1000,all",
    "textvae probe runs/mine all.tsv --folds 10 --against runs/other",
    "textvae probe runs/mine train.tsv test.tsv --save sentiment.safetensors",
)

SUFFIX = ".safetensors"
ALL = "all"
SIZES = "50,250,500,1000,5000,all"
SEEDS = 5
MAJORITY, TFIDF, WORDS = "majority class", "TF-IDF", "word average"
FIGURES = {"accuracy": "accuracy", "macro_f1": "macro F1"}


def probe(
    model: options.Model,
    train: Annotated[
        str, typer.Argument(metavar="TRAIN", help="Labelled sentences: .tsv .csv .jsonl .parquet.")
    ],
    test: Annotated[
        str | None,
        typer.Argument(metavar="TEST", show_default=False, help="The same; or give --folds."),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            "--labels",
            metavar="N,N,all",
            help=f"How many labelled sentences.  [default: {SIZES}; with --folds: all]",
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option("--seeds", min=1, metavar="N", help=f"Draws of each.  [default: {SEEDS}]"),
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option("--folds", min=2, metavar="N", help="Cross-validate TRAIN; no TEST then."),
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option("--against", metavar="MODEL", help="Another model; may repeat."),
    ] = None,
    layer: options.Layer = "latent",
    normalize: options.Normalize = False,
    drop_duplicates: Annotated[
        bool,
        typer.Option(
            "--without-duplicates", help="Leave test texts out that also stand in training."
        ),
    ] = False,
    save: Annotated[
        Path | None,
        typer.Option(
            "--save",
            metavar="FILE.safetensors",
            help="Write the classifier of all of TRAIN, for textvae classify.",
        ),
    ] = None,
    out: options.ReportFile = None,
    text_column: options.TextColumn = None,
    label_column: options.LabelColumn = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Train linear classifiers on frozen vectors and test them.

    Logistic regression on standardised vectors, beside the majority class, TF-IDF of words and
    pairs of words, and the average of the model's word vectors. Its regularisation is chosen on
    held-out folds of the labelled sentences, never on the test. Figures are means and standard
    deviations over draws of the labelled sentences, or over folds; with all labels nothing is
    drawn, so that there is one run and no deviation.
    """
    sizes = parsed_sizes((SIZES if folds is None else ALL) if labels is None else labels)
    check_arguments(train, test, folds, seeds, save, out)
    names = [model, *(against or [])]
    check_distinct(names)
    output = Output(as_json=as_json, quiet=quiet)
    from textvae.classification import probes
    from textvae.cli.labelled import average_all, encode_all, read_task, without_duplicates
    from textvae.cli.progress import progress_bars
    from textvae.cli.sentences import load_encoder

    models = {name: load_encoder(name, device, "probe") for name in names}
    task = read_task(
        train,
        test,
        folds,
        output,
        text_column=text_column or models[model].config.data.text_column,
        label_column=label_column,
        seed=seed,
    )
    kept, left_out = probes.usable_sizes(sizes, task.splits)
    tell_left_out(left_out, kept, task, output)
    tell_duplicates(task, drop_duplicates, output)
    if drop_duplicates:
        task = without_duplicates(task)

    with progress_bars(output) as progress:
        words = average_all(models[model], task.texts, progress)
        vectors = {
            name: encode_all(
                vae, task.texts, output, progress, layer=layer, normalize=normalize, phase=name
            )
            for name, vae in models.items()
        }
        kinds = kinds_of_vectors(names, layer, normalize)
        features = representations_of(kinds, task, words, vectors)
        draws = range(seed, seed + (1 if folds is not None else seeds or SEEDS))
        runs = probes.probe(features, task.codes, task.splits, kept, draws, progress)
    report = {
        "model": model,
        "train": train,
        **({"test": test} if folds is None else {"folds": folds}),
        "n_train": task.n_train,
        "n_test": sum(len(split.test) for split in task.splits),
        "n_duplicates": task.n_duplicates,
        "without_duplicates": drop_duplicates,
        "classes": task.classes,
        "layer": layer,
        "normalize": normalize,
        "seed": seed,
        "results": [result(kinds[name], size, found) for (name, size), found in runs.items()],
    }
    with whatever_happens() as afterwards:
        if out is not None:
            afterwards(write_json, out, report)
        if save is not None:
            own = (models[model], vectors[model])
            afterwards(save_classifier, save, *own, task, layer, normalize, seed)
        print_report(report, output)
    if save is not None:
        output.note(f"classifier of {counted(task.n_train, 'label')} in {save}")
        output.note(f"try: textvae classify {model} {save} FILE")


# what is asked for


def parsed_sizes(text: str) -> list[int | None]:
    """The numbers of labels of `--labels`, ascending, each once; None, at the end, is all.

    Raises:
        UsageError: something that is neither a number above 0 nor `all`.
    """
    numbers: set[int] = set()
    words = [word.strip() for word in text.split(",")]
    for word in words:
        if word != ALL:
            # Beyond so many digits Python refuses the number, as would any amount of text.
            if not (word.isascii() and word.isdigit() and len(word) < 19 and int(word) > 0):
                raise UsageError(f"--labels {word!r}: expected numbers above 0 and `all`: {SIZES}")
            numbers.add(int(word))
    return [*sorted(numbers), *([None] if ALL in words else [])]


def check_arguments(
    train: str,
    test: str | None,
    folds: int | None,
    seeds: int | None,
    save: Path | None,
    out: Path | None,
) -> None:
    """Raise now what would else be noticed after all the work."""
    inputs = [train, *([test] if test is not None else [])]
    if test is None and folds is None:
        raise UsageError("TEST is missing: name a file, or cross-validate TRAIN by --folds 10")
    if test is not None and folds is not None:
        raise UsageError(f"--folds {folds} tests on parts of TRAIN: leave out {test}, or --folds")
    if folds is not None and seeds is not None:
        raise UsageError("--seeds: with --folds the folds are what varies; leave it out")
    if train == test == "-":
        raise UsageError("TRAIN and TEST cannot both be stdin")
    if save is not None:
        if save.suffix.lower() != SUFFIX:
            raise UsageError(f"--save {save}: the name must end in {SUFFIX}")
        check_folder(save, *inputs, option="--save")
    if out is not None:
        check_folder(out, *inputs)


def tell_duplicates(task: Task, dropped: bool, output: Output) -> None:
    """Say how many test texts stand among the training texts."""
    if task.n_duplicates:
        n, texts = human(task.n_duplicates), counted(task.n_test, "test text")
        what = "left out" if dropped else "--without-duplicates leaves them out"
        stand = "stands" if task.n_duplicates == 1 else "stand"
        output.note(f"{n} of {texts} also {stand} in training: {what}")


def tell_left_out(
    left_out: Sequence[int], kept: Sequence[int | None], task: Task, output: Output
) -> None:
    """Say which numbers of labels there are too few sentences for.

    Raises:
        UsageError: none is left.
    """
    if not left_out:
        return
    n = counted(min(len(split.train) for split in task.splits), "sentence")
    sizes = ", ".join(map(human, left_out))
    if not kept:
        raise UsageError(f"--labels {sizes}: only {n} to train on; give less, or `all`")
    output.note(f"left out: {sizes} labels; only {n} to train on")


# what comes of it


def kinds_of_vectors(
    models: Sequence[str], layer: Layer, normalize: bool
) -> dict[str, dict[str, Any]]:
    """What is compared, by its name in the table: the baselines, then the models' vectors."""
    kinds: list[dict[str, Any]] = [{"vectors": name} for name in (MAJORITY, TFIDF, WORDS)]
    kinds += [{"vectors": name, "layer": layer, "normalize": normalize} for name in models]
    return {row_name(kind): kind for kind in kinds}


def row_name(kind: Mapping[str, Any]) -> str:
    """Name, layer and length of vectors; no model's folder has the name of a baseline so."""
    layer = f", {kind['layer']}" if "layer" in kind else ""
    return f"{kind['vectors']}{layer}{', length 1' if kind.get('normalize') else ''}"


def representations_of(
    kinds: Mapping[str, Mapping[str, Any]],
    task: Task,
    words: NDArray[np.float32],
    vectors: Mapping[str, NDArray[np.float32]],
) -> dict[str, Representation]:
    """The features of each kind of vectors."""
    from textvae.classification import probes

    baselines = {
        MAJORITY: probes.majority,
        TFIDF: probes.tfidf(task.texts),
        WORDS: probes.standardised(words),
    }
    return {
        row: probes.standardised(vectors[kind["vectors"]]) if "layer" in kind else baselines[row]
        for row, kind in kinds.items()
    }


def result(kind: Mapping[str, Any], size: int | None, runs: Sequence[Run]) -> dict[str, Any]:
    """The figures of a kind of vectors at a number of labels, and those of each run."""
    from textvae.classification.probes import summary

    return {
        **kind,
        "labels": ALL if size is None else size,
        **summary(runs),
        "runs": [asdict(run) for run in runs],
    }


def save_classifier(
    path: Path,
    vae: TextVAE,
    vectors: NDArray[np.float32],
    task: Task,
    layer: Layer,
    normalize: bool,
    seed: int,
) -> None:
    """Write the classifier of all sentences of the training file."""
    from textvae.classification.classifier import train_classifier
    from textvae.saving.identity import fingerprint

    classifier = train_classifier(
        vectors[: task.n_train],
        task.codes[: task.n_train],
        task.classes,
        layer=layer,
        normalize=normalize,
        fingerprint=fingerprint(vae.model, vae.encoder_tokenizer, vae.config.data),
        seed=seed,
    )
    with replacing(path) as file:
        file.write(classifier.to_bytes())


def print_report(report: dict[str, Any], output: Output) -> None:
    """Print the report: as JSON, or as a table of each figure, a column a number of labels."""
    if output.as_json:
        output.report(report)
        return
    for place, key in enumerate(FIGURES):
        if place:
            output.text("")
        output.table(table_of(report["results"], key))


def table_of(results: Sequence[dict[str, Any]], key: str) -> list[list[str]]:
    """The heading, and a row for each kind of vectors: the figure ± its deviation."""
    rows: dict[str, list[str]] = {}
    sizes: dict[str, None] = {}
    for found in results:
        size = found["labels"]
        sizes[human(size) if size != ALL else f"{ALL} {human(found['n_labels'])}"] = None
        deviation = f" ± {found[f'{key}_sd']:.3f}" if f"{key}_sd" in found else ""
        rows.setdefault(row_name(found), []).append(f"{found[key]:.3f}{deviation}")
    return [[FIGURES[key], *sizes], *([name, *cells] for name, cells in rows.items())]
