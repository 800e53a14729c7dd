"""`textvae compare`: several models on the same sentences, in one table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from textvae.cli import options
from textvae.cli.output import Output
from textvae.cli.reports import whatever_happens, write_json
from textvae.files.destination import check_folder
from textvae.number_format import short, with_error

EXAMPLES = (
    "textvae compare runs/lm runs/vae runs/ae --on test.txt",
    "textvae compare runs/a runs/b --on test.txt --limit 500 --json",
)

# The columns after nll_iw and its difference, if at least one model defines them.
FIGURES = (
    "gap", "ppl_word", "ppl_word_unk", "ppl_char", "rec", "kl", "mi", "z_gain", "active_units",
    "bleu", "token_accuracy", "label_accuracy", "self_bleu", "distinct_2", "copied",
    "divergence_area", "ppl_forward", "ppl_reverse",
)  # fmt: skip


def compare(
    models: Annotated[
        list[str],
        typer.Argument(metavar="MODEL", help="Folders or Hugging Face ids of models."),
    ],
    on: Annotated[str, typer.Option("--on", metavar="FILE", help="Test sentences; `-`: stdin.")],
    samples: options.ImportanceSamples = 100,
    limit: options.Limit = None,
    truncate: options.Truncate = False,
    quality: options.QualitySamples = None,
    scorer: options.ScorerModel = None,
    divergence_encoder: options.DivergenceEncoder = None,
    out: options.ReportFile = None,
    text_column: options.TextColumn = None,
    label_column: options.LabelsOfHead = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Measure several models on the same held-out sentences.

    One row per model, in nats per sentence; a dash where a figure is not defined. `Δ` is a model's
    figure minus the first model's, with the standard error of the paired differences. `--json`
    prints all figures of `textvae evaluate` and all differences.
    """
    if out is not None:
        check_folder(out, on)
    output = Output(as_json=as_json, quiet=quiet)
    from textvae.api.comparing import compare
    from textvae.cli.progress import watching
    from textvae.models.device import reuse_freed_memory

    reuse_freed_memory()
    output.note_typing(on)
    with watching(output) as watcher:
        comparison = compare(
            models,
            on,
            samples=samples,
            limit=limit,
            truncate=truncate,
            quality=quality,
            scorer=scorer,
            divergence_encoder=divergence_encoder,
            text_column=text_column,
            label_column=label_column,
            seed=seed,
            device=device,
            watcher=watcher,
        )
    report = comparison.to_dict()
    with whatever_happens() as afterwards:
        if out is not None:
            afterwards(write_json, out, report)
        print_comparison(report, output)


def print_comparison(report: dict[str, Any], output: Output) -> None:
    """Print the comparison as JSON or as a table."""
    if output.as_json:
        output.report(report)
        return
    output.table(table_of(report["models"], report["differences"]))


def table_of(
    reports: Sequence[dict[str, Any]], differences: Sequence[dict[str, Any]]
) -> list[list[str]]:
    """The heading and a row for each model, with the columns that at least one model defines."""
    changes: list[dict[str, Any]] = [{}, *differences]  # the first differs from nothing
    paired = next((key for key in ("nll_iw", "rec") if any(key in c for c in changes)), None)
    columns = {"nll_iw": [with_error(report, "nll_iw") for report in reports]}
    if paired is not None:
        columns[f"Δ {paired}"] = [with_error(change, paired) for change in changes]
    for key in FIGURES:
        columns[key] = [short(report.get(key)) for report in reports]
    shown = {key: cells for key, cells in columns.items() if set(cells) != {"-"}}
    names = [report["model"] for report in reports]
    return [["model", *shown], *map(list, zip(names, *shown.values(), strict=True))]
