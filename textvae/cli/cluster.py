"""`textvae cluster`: groups of sentences, and what each is about."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from textvae.cli import options
from textvae.cli.output import Output
from textvae.cli.reports import whatever_happens
from textvae.files.home import home_path
from textvae.number_format import human

EXAMPLES = (
    "textvae cluster runs/mine sentences.txt -k 8",
    "textvae cluster runs/mine reviews.tsv -k 2 --out assignments.csv --json",
)


def cluster(
    model: options.Model,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="Sentences, with or without labels; `-`: stdin.")
    ],
    k: Annotated[int, typer.Option("-k", min=1, metavar="K", help="Number of clusters.")],
    nearest: Annotated[
        int, typer.Option("--nearest", min=0, metavar="N", help="Sentences shown for each cluster.")
    ] = 5,
    layer: options.Layer = "latent",
    normalize: options.Normalize = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            parser=home_path,
            metavar="X",
            help="Write each line's cluster to X (.csv or .jsonl).",
        ),
    ] = None,
    text_column: options.TextColumn = None,
    label_column: options.LabelColumn = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Group sentences by k-means on their vectors.

    Shows each cluster, the largest first: its size, the share of its most frequent label (its
    purity) where there are labels, the sentence that its centre decodes to, and the sentences
    nearest to the centre. The vectors are not standardised. A blank line counts as the empty
    sentence. You are warned about labels that differ only in case, spacing or number format.
    """
    from textvae.export.assignments import check_assignments, write_assignments

    if out is not None:
        check_assignments(out, file)
    output = Output(as_json=as_json, quiet=quiet)
    from textvae.api.loading import load_encoder
    from textvae.cli.progress import watching

    vae = load_encoder(model, device, "cluster")
    output.note_typing(file)
    with watching(output) as watcher:
        found = vae.cluster(
            file,
            k,
            name=model,
            nearest=nearest,
            layer=layer,
            normalize=normalize,
            text_column=text_column,
            label_column=label_column,
            seed=seed,
            watcher=watcher,
        )
    with whatever_happens() as afterwards:
        if out is not None:
            afterwards(write_assignments, out, found)
        print_clusters(found.to_dict(), output)


def print_clusters(report: dict[str, Any], output: Output) -> None:
    """Print the report as JSON; or the figures as a table, and then a block for each cluster."""
    if output.as_json:
        output.report(report)
        return
    output.report({key: value for key, value in report.items() if key != "clusters"})
    for group in report["clusters"]:
        purity = f", {group['purity']:.1%} {group['label']}" if "purity" in group else ""
        output.row(group, "")
        output.row(group, f"cluster {group['cluster']}: {human(group['size'])}{purity}")
        if "centre" in group:
            output.row(group, f"  centre   {group['centre']}")
        for place, sentence in enumerate(group["nearest"]):
            output.row(group, f"  {'' if place else 'nearest':<7}  {sentence['text']}")
