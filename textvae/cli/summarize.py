"""`textvae summarize`: one sentence for each group of sentences."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from textvae.cli import options
from textvae.cli.output import Output, tabbed

EXAMPLES = (
    "textvae summarize runs/mine captions.tsv --groups picture",
    "textvae summarize runs/mine reviews.csv --groups product --simple --json",
)


def summarize(
    model: options.Model,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="Sentences with a column of groups; `-`: stdin.")
    ],
    groups: Annotated[
        str | None,
        typer.Option("--groups", metavar="COLUMN", help="Column of the group; none: `label`."),
    ] = None,
    simple: Annotated[
        bool,
        typer.Option("--simple", help="Show beside it what the mean of all members decodes to."),
    ] = False,
    overlap: Annotated[
        Literal["rouge1", "rouge2", "rougeL"],
        typer.Option("--overlap", help="The overlap that chooses the members."),
    ] = "rouge1",
    beams: Annotated[
        int, typer.Option("--beams", min=1, metavar="N", help="Subsets of a size that are kept.")
    ] = 10,
    pool: Annotated[
        int, typer.Option("--pool", min=1, metavar="N", help="Members that extend them.")
    ] = 32,
    text_column: options.TextColumn = None,
    device: options.Device = "auto",
    as_json: options.JsonLines = False,
    quiet: options.Quiet = False,
) -> None:
    """Write one sentence for each group of sentences.

    Prints the group, the overlap and the summary, separated by TABs, a group a line. The summary is
    decoded from the mean of the vectors of some members: those whose mean decodes to the sentence
    with the highest overlap (mean ROUGE F1) with all members. A search with beams tries the single
    members, the mean of all, and subsets of growing size; up to 5 members it tries every subset.

    A summary can state what no member says: read it beside its overlap. On captions of pictures the
    best single member was a better summary; see docs/latent.md.
    """
    output = Output(as_json=as_json, quiet=quiet)
    from textvae.api.loading import load_encoder
    from textvae.cli.progress import watching

    vae = load_encoder(model, device, "summarize")
    output.note_typing(file)
    decoding = vae.decoding().to_dict()
    with watching(output) as watcher:
        for found in vae.iter_summarize(
            file,
            groups=groups,
            overlap=overlap,
            beams=beams,
            pool=pool,
            name=model,
            text_column=text_column,
            watcher=watcher,
        ):
            record = found.to_dict()
            cells = [found.group, f"{found.overlap:.4f}", found.text]
            if simple:
                cells += [f"{found.simple_overlap:.4f}", found.simple]
            else:
                record = {k: v for k, v in record.items() if not k.startswith("simple")}
            output.row(record | {"decoding": decoding}, tabbed(*cells))
