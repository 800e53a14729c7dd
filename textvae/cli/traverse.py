"""`textvae traverse`: which unit of the latent does what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from textvae.cli import options
from textvae.cli.output import Output
from textvae.cli.reports import whatever_happens, write_json
from textvae.errors import UsageError
from textvae.files.destination import check_folder
from textvae.number_format import human

if TYPE_CHECKING:
    from textvae.api.traversing import Traversal
    from textvae.api.units import UnitReport

EXAMPLES = (
    'textvae traverse runs/mine "the soup was cold ." --units 3 --reference sentences.txt',
    "textvae traverse runs/mine --unit 3,7 --steps 9",
    "textvae traverse runs/mine --report labelled.jsonl --factors topic,tense",
)
WORDS = 3  # of each direction in the table


def traverse(
    model: options.Model,
    text: Annotated[
        str | None,
        typer.Argument(
            metavar="TEXT",
            callback=options.valid_text,
            show_default=False,
            help="Sentence that fixes the other units; without one, these are at the prior's mean.",
        ),
    ] = None,
    units: Annotated[
        int | None,
        typer.Option(
            "--units",
            min=1,
            metavar="N",
            help="Show the N units with the highest KL.  [default: 5; with --report: all]",
        ),
    ] = None,
    unit: Annotated[
        str | None, typer.Option("--unit", metavar="I,I", help="Show these units, from 0.")
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option("--steps", min=2, metavar="N", help="Values of each unit.  [default: 5]"),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            "--reference",
            metavar="FILE",
            help="Sentences for the quantiles and the KL; none: the prior.",
        ),
    ] = None,
    report: Annotated[
        str | None,
        typer.Option(
            "--report", metavar="FILE", help="Show what each unit says of these sentences instead."
        ),
    ] = None,
    factors: Annotated[
        str | None,
        typer.Option(
            "--factors",
            metavar="COLUMN,COLUMN",
            help="Columns with labels in the file of --report; none: `label`.",
        ),
    ] = None,
    out: options.ReportFile = None,
    text_column: options.TextColumn = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show which unit of the latent does what.

    A unit is one dimension of the latent. Decodes sentences along one unit at a time, from its 1 %
    quantile to its 99 % quantile, all other units fixed. Without --reference, the quantiles are
    those of the prior, and the KL is that of 1,000 sentences decoded from it. The units are in the
    order of their KL. The units of an autoencoder have no KL and are in the order of their
    variance.

    With --report, prints a table of the units instead: KL, variance, the rank correlation with the
    length, the words that go with high and with low values, and for each factor the mutual
    information and the accuracy of a linear probe on the unit alone. Below it stand the
    disentanglement scores MIG and DCI.
    """
    check_together(text, steps, reference, report, factors, out)
    if out is not None and report is not None:
        check_folder(out, report)
    chosen = None if unit is None else parsed_units(unit)
    output = Output(as_json=as_json, quiet=quiet)
    from textvae.api.loading import load_encoder
    from textvae.cli.progress import watching

    vae = load_encoder(model, device, "walk along units")
    output.note_typing(report or reference or "")
    common: dict[str, Any] = {"name": model, "text_column": text_column, "seed": seed}
    common |= {"units": units, "unit": chosen}
    if report is None:
        with watching(output) as watcher:
            walks = vae.traverse(
                text, steps=steps or 5, reference=reference, **common, watcher=watcher
            )
        print_walks(walks, vae.decoding().to_dict(), output)
        return
    columns = None if factors is None else [name.strip() for name in factors.split(",")]
    with watching(output) as watcher:
        found = vae.units(report, factors=columns, **common, watcher=watcher)
    with whatever_happens() as afterwards:
        if out is not None:
            afterwards(write_json, out, found.to_dict())
        print_report(found, output)


def check_together(
    text: str | None,
    steps: int | None,
    reference: str | None,
    report: str | None,
    factors: str | None,
    out: object,
) -> None:
    """Raise UsageError where options have no effect with or without --report."""
    walking = {"TEXT": text, "--steps": steps, "--reference": reference}
    reporting = {"--factors": factors, "--out": out}
    with_report = report is not None
    for name, value in (walking if with_report else reporting).items():
        if value is not None:
            raise UsageError(
                f"{name} has no effect {'with' if with_report else 'without'} --report; leave "
                f"{name} out" + ("" if with_report else ", or name a file with --report FILE")
            )


def parsed_units(text: str) -> list[int]:
    """The numbers that `--unit` names.

    Raises:
        UsageError: something that is no number.
    """
    words = [word.strip() for word in text.split(",")]
    if not all(word.isascii() and word.isdigit() and len(word) < 10 for word in words):
        raise UsageError(f"--unit {text!r}: expected numbers separated by commas, such as 3,7")
    return [int(word) for word in words]


def print_walks(walks: Sequence[Traversal], decoding: Mapping[str, Any], output: Output) -> None:
    """Print a block for each unit: quantile, value and sentence of each step."""
    for place, walk in enumerate(walks):
        if not output.as_json:
            output.text(("\n" if place else "") + f"unit {walk.unit}, {heading(walk)}")
        for row in walk.rows():
            value = round(row["value"], 2) + 0.0  # no -0.00
            output.row(
                row | {"decoding": decoding},
                f"{row['quantile']:>6.1%}  {value:>6.2f}  {row['text']}",
            )


def heading(walk: Traversal) -> str:
    """The figure that orders the units."""
    return f"variance {walk.variance:.4f}" if walk.kl is None else f"KL {walk.kl:.4f}"


def print_report(found: UnitReport, output: Output) -> None:
    """Print the report as JSON, or as a table of units, one of factors, and the scores."""
    record = found.to_dict()
    if output.as_json:
        output.report(record)
        return
    output.table(unit_table(found))
    if not found.factors:
        return
    output.text("")
    columns = ("classes", "n_labelled", "entropy", "majority", "accuracy", "mig", "completeness")
    rows = [
        [factor.name, *(human(getattr(factor, column)) for column in columns)]
        for factor in found.factors
    ]
    output.table([["factor", *columns], *rows])
    output.text("")
    scores = ("mig", "disentanglement", "completeness")
    output.report({key: record[key] for key in scores if key in record})


def unit_table(found: UnitReport) -> list[list[str]]:
    """The heading, and a row for each unit."""
    names = [factor.name for factor in found.factors]
    kl = [] if any(unit.kl is None for unit in found.units) else ["KL"]
    heading = ["unit", *kl, "variance", "length"]
    for name in names:
        heading += [f"MI {name}", f"accuracy {name}"]
    rows = [[*heading, "words, high", "words, low"]]
    for unit in found.units:
        row = [str(unit.unit), *([] if unit.kl is None else [f"{unit.kl:.3f}"])]
        row += [f"{unit.variance:.3f}", f"{unit.length:+.2f}"]
        for name in names:
            row += [f"{unit.information[name]:.3f}", f"{unit.accuracy[name]:.3f}"]
        sides = (unit.rising[:WORDS], unit.falling[:WORDS])
        rows.append([*row, *(" ".join(word for word, _ in side) for side in sides)])
    return rows
