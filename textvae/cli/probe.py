"""`textvae probe`: what a linear classifier reads off a model's vectors, by number of labels."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from textvae.cli import options
from textvae.cli.output import Output
from textvae.cli.reports import whatever_happens, write_json
from textvae.errors import UsageError
from textvae.files.destination import check_folder
from textvae.files.home import home_path
from textvae.number_format import counted, human

if TYPE_CHECKING:
    from textvae.api.probe_vectors import ProbeLayer
    from textvae.api.probing import Probe, ProbeResult, Size

EXAMPLES = (
    "textvae probe runs/mine train.tsv test.tsv --labels 100,1000,all",
    "textvae probe runs/mine all.tsv --folds 10 --against runs/other",
    "textvae probe runs/mine train.tsv test.tsv --layer latent,encoder,both",
    "textvae probe runs/mine train.tsv test.tsv --save sentiment.safetensors",
)

SUFFIX = ".safetensors"
SIZES = "50,250,500,1000,5000,all"
SEEDS = 5
LAYERS = ("latent", "encoder", "both")
FIGURES = {"accuracy": "accuracy", "macro_f1": "macro F1"}


def probe(
    model: options.Model,
    train: Annotated[
        str, typer.Argument(metavar="TRAIN", help="Labelled sentences: .tsv .csv .jsonl .parquet.")
    ],
    test: Annotated[
        str | None,
        typer.Argument(
            metavar="TEST",
            show_default=False,
            help="Labelled sentences to test on; or use --folds.",
        ),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            "--labels",
            metavar="N,N,all",
            help=f"Numbers of labelled sentences.  [default: {SIZES}; with --folds: all]",
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            "--seeds", min=1, metavar="N", help=f"Draws of each number.  [default: {SEEDS}]"
        ),
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(
            "--folds", min=2, metavar="N", help="Cross-validate TRAIN instead of using TEST."
        ),
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option("--against", metavar="MODEL", help="Another model; may repeat."),
    ] = None,
    layer: Annotated[
        str,
        typer.Option(
            "--layer",
            metavar="LAYER,LAYER",
            help="Rows of the table: latent, encoder (the state before it), both (side by side).",
        ),
    ] = "latent",
    normalize: options.Normalize = False,
    dimensions: options.Dimensions = None,
    strength: Annotated[
        float | None,
        typer.Option(
            "--strength",
            metavar="C",
            help="C of the logistic regression of vectors; none: chosen on held-out folds.",
        ),
    ] = None,
    drop_duplicates: Annotated[
        bool,
        typer.Option(
            "--without-duplicates", help="Leave out test texts that also occur in training."
        ),
    ] = False,
    save: Annotated[
        Path | None,
        typer.Option(
            "--save",
            parser=home_path,
            metavar="FILE.safetensors",
            help="Save the classifier of all of TRAIN, for textvae classify.",
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

    Logistic regression on standardised vectors. The baselines are the majority class, TF-IDF of
    words and word pairs, and the average of the model's word vectors. The regularisation is chosen
    on held-out folds of the labelled sentences, never on the test; --strength fixes it for the
    vectors. --layer latent,encoder,both compares both layers in one table. Figures are
    means and standard deviations over draws of the labelled sentences, or over folds; with all
    labels there is one run and no deviation. You are warned about labels that differ only in case,
    spacing or number format, and about test texts that also occur in training.
    """
    sizes = None if labels is None else parsed_sizes(labels)
    check_files(train, test, save, out)
    layers = parsed_layers(layer)
    if save is not None and layers[0] == "both":
        raise UsageError("--save keeps a classifier of one layer; name latent or encoder first")
    output = Output(as_json=as_json, quiet=quiet)
    from textvae.classification.task import check_design

    check_design(train, test, folds, seeds)
    from textvae.api.loading import load_encoders
    from textvae.cli.progress import watching

    models = load_encoders([model, *(against or [])], device, "probe")
    output.note_typing("-" if "-" in (train, test) else train)
    with watching(output) as watcher:
        found = models[model].probe(
            train,
            test,
            name=model,
            against={name: vae for name, vae in models.items() if name != model},
            labels=sizes,
            seeds=seeds,
            folds=folds,
            layer=layers,
            normalize=normalize,
            dimensions=dimensions,
            strength=strength,
            without_duplicates=drop_duplicates,
            text_column=text_column,
            label_column=label_column,
            seed=seed,
            watcher=watcher,
        )
    with whatever_happens() as afterwards:
        if out is not None:
            afterwards(write_json, out, found.to_dict())
        if save is not None:
            afterwards(lambda: found.fit_classifier().save(save))
        print_report(found, output)
    if save is not None:
        output.note(f"classifier of {counted(found.n_train, 'label')} in {save}")
        output.note(f"try: textvae classify {shlex.quote(model)} {shlex.quote(str(save))} FILE")


def parsed_sizes(text: str) -> list[Size]:
    """The numbers of labels that `--labels` names, `all` included.

    Raises:
        UsageError: something that is neither a number above 0 nor `all`.
    """
    sizes: list[Size] = []
    for word in map(str.strip, text.split(",")):
        if word == "all":
            sizes.append("all")
        # Python refuses to parse thousands of digits; 18 are enough for any data.
        elif word.isascii() and word.isdigit() and len(word) < 19 and int(word) > 0:
            sizes.append(int(word))
        else:
            raise UsageError(f"--labels {word!r}: expected numbers above 0 and `all`: {SIZES}")
    return sizes


def parsed_layers(text: str) -> list[ProbeLayer]:
    """The layers that `--layer` names.

    Raises:
        UsageError: an unknown layer.
    """
    layers = [word.strip() for word in text.split(",")]
    for layer in layers:
        if layer not in LAYERS:
            raise UsageError(f"--layer {layer!r}: expected {', '.join(LAYERS)}")
    return cast("list[ProbeLayer]", layers)


def check_files(train: str, test: str | None, save: Path | None, out: Path | None) -> None:
    """Raise before the work if a file cannot be written."""
    inputs = [train, *([test] if test is not None else [])]
    if save is not None:
        if save.suffix.lower() != SUFFIX:
            raise UsageError(f"--save {save}: the name must end in {SUFFIX}")
        check_folder(save, *inputs, name="save")
    if out is not None:
        check_folder(out, *inputs)


def print_report(found: Probe, output: Output) -> None:
    """Print the report as JSON, or as a table for each figure with a column for each size."""
    if output.as_json:
        output.report(found.to_dict())
        return
    for place, key in enumerate(FIGURES):
        if place:
            output.text("")
        output.table(table_of(found.results, key))


def table_of(results: Sequence[ProbeResult], key: str) -> list[list[str]]:
    """The heading, and a row for each kind of vectors: the figure ± its deviation."""
    rows: dict[str, list[str]] = {}
    sizes: dict[str, None] = {}
    for result in results:
        figures = result.figures
        size = human(result.labels)
        sizes[f"all {human(figures['n_labels'])}" if result.labels == "all" else size] = None
        deviation = f" ± {figures[f'{key}_sd']:.3f}" if f"{key}_sd" in figures else ""
        rows.setdefault(result.name, []).append(f"{figures[key]:.3f}{deviation}")
    return [[FIGURES[key], *sizes], *([name, *cells] for name, cells in rows.items())]
