"""`textvae compare`: several models on the same sentences, in one table."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from textvae.cli import options
from textvae.cli.evaluate import (
    check_arguments,
    load_scorer,
    quality_of,
    scorer_trainer,
    warn_of,
    whatever_happens,
    write_json,
)
from textvae.cli.output import Output
from textvae.errors import UsageError
from textvae.wording import human

if TYPE_CHECKING:
    from textvae.evaluation.comparison import Candidate

EXAMPLES = (
    "textvae compare runs/lm runs/vae runs/ae --on test.txt",
    "textvae compare runs/a runs/b --on test.txt --limit 500 --json",
)

# What a row shows beside nll_iw and its difference, where some model defines it.
FIGURES = (
    "gap", "ppl_word", "ppl_word_unk", "ppl_char", "rec", "kl", "mi", "z_gain", "active_units",
    "bleu", "token_accuracy", "self_bleu", "distinct_2", "copied", "ppl_forward", "ppl_reverse",
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
    out: options.ReportFile = None,
    text_column: options.TextColumn = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Measure several models on the same held-out sentences.

    A row a model, nats per sentence; a dash where a figure is not defined. `Δ` is a model's figure
    less that of the first, with the standard error of that difference, sentence by sentence.
    `--json` prints all figures of `textvae evaluate`, and all differences.
    """
    check_arguments({"--quality": quality}, scorer, out, on)
    check_distinct(models)
    output = Output(as_json=as_json, quiet=quiet)
    from textvae.api import TextVAE
    from textvae.cli.progress import progress_bars
    from textvae.cli.sentences import prepared, raw_rows, with_text
    from textvae.evaluation.comparison import Candidate
    from textvae.evaluation.comparison import compare as measure
    from textvae.models.device import reuse_freed_memory

    reuse_freed_memory()
    loaded = [TextVAE.from_pretrained(name, device=device) for name in models]
    lm = None if scorer is None else load_scorer(scorer, device)
    train_scorer = None if lm is None else scorer_trainer(lm, output)
    column = text_column or loaded[0].config.data.text_column
    lines = list(with_text(raw_rows(on, output, text_column=column), on))

    def candidates() -> Iterator[Candidate]:
        for number, (name, vae) in enumerate(zip(models, loaded, strict=True), 1):
            output.note(f"{name}: model {number} of {len(models)}")
            judged = None
            if quality is not None:
                judged = quality_of(vae, quality, lm, output, train_scorer)
            rows = list(prepared(vae, iter(lines)))
            yield Candidate(name, vae.model, vae.tokenizer, rows, judged)

    with progress_bars(output) as progress:
        report = measure(
            candidates(),
            samples=samples,
            seed=seed,
            limit=limit,
            truncate=truncate,
            progress=progress,
        )
    with whatever_happens() as afterwards:
        if out is not None:
            afterwards(write_json, out, report)
        print_comparison(report, output)


def check_distinct(names: Sequence[str]) -> None:
    """Raise UsageError where two names mean one model."""
    seen: dict[str, str] = {}
    for name in names:
        place = os.path.realpath(name) if os.path.isdir(name) else name
        if place in seen:
            same = "" if seen[place] == name else f", as {seen[place]}"
            raise UsageError(f"{name} is named twice{same}; name each model once")
        seen[place] = name


def print_comparison(report: dict[str, Any], output: Output) -> None:
    """Print the comparison: as JSON, or as a table with what it does not show on stderr."""
    reports, differences = report["models"], report["differences"]
    for one in reports:
        warn_of(one, output, one["model"])
    for difference in differences:
        n, total = difference["n_sentences"], reports[0]["n_sentences"]
        if n < total:
            output.warn(
                f"{difference['model']} reads {n:,} of {total:,} sentences as the same text as "
                f"{difference['minus']}; differences are of these only"
            )
    if len({one.get("unk_rate") for one in reports if "nll_iw" in one}) > 1:
        output.warn(
            "an unknown word costs less than the word, and not all models read the same ones as "
            "unknown; nll_iw does not compare: see unk_rate in --json"
        )
    if output.as_json:
        output.report(report)
        return
    output.table(table_of(reports, differences))


def table_of(
    reports: Sequence[dict[str, Any]], differences: Sequence[dict[str, Any]]
) -> list[list[str]]:
    """The heading and a row for each model; only columns that some model defines."""
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


def with_error(report: dict[str, Any], key: str) -> str:
    """A figure and its standard error, or a dash."""
    error = report.get(f"{key}_se")
    return short(report.get(key)) + ("" if error is None else f" ± {short(error)}")


def short(value: Any) -> str:
    """A figure with three decimals, as a narrow table has room for."""
    return f"{value:.3f}" if isinstance(value, float) and abs(value) < 1000 else human(value)
