"""`textvae reconstruct`: each sentence through the latent and back."""

from __future__ import annotations

from typing import Annotated

import typer

from textvae.cli import options
from textvae.cli.output import Output

EXAMPLES = (
    "textvae reconstruct runs/mine sentences.txt",
    "echo 'the soup was cold .' | textvae reconstruct runs/mine",
)


def reconstruct(
    model: options.Model,
    file: options.TextFile = "-",
    sample: Annotated[
        bool, typer.Option("--sample", help="Decode a sample of the posterior, not its mean.")
    ] = False,
    text_column: options.TextColumn = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    as_json: options.JsonLines = False,
    quiet: options.Quiet = False,
) -> None:
    """Put sentences through the latent and back.

    Prints one row for each line of input, in its order. A blank line is the empty sentence; one
    that is too long is cut and counted.
    """
    output = Output(as_json=as_json, quiet=quiet)
    from textvae.cli.sentences import (
        in_chunks,
        load_encoder,
        read_rows,
        tell_cut,
        told_if_none,
    )

    vae = load_encoder(model, device, "reconstruct")
    n_cut = 0
    rows = read_rows(vae, file, output, text_column=text_column)
    for start, chunk in in_chunks(told_if_none(rows, file, output)):
        texts = [row.text for row in chunk]
        found = vae.embed(texts, sample_seed=seed if sample else None, first=start)
        n_cut += found.cut
        decoded = vae.decode(found.vectors)
        for index, (text, reconstruction) in enumerate(zip(texts, decoded, strict=True), start):
            record = {"index": index, "text": text, "reconstruction": reconstruction}
            output.row(record, reconstruction)
    tell_cut(n_cut, vae, output)
