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
    """Encode sentences and decode them again.

    Prints one row for each line of input, in its order. A blank line counts as the empty sentence.
    Sentences that are too long are truncated, and you are told how many.
    """
    output = Output(as_json=as_json, quiet=quiet)
    from textvae.api.encoding import reconstruct_all
    from textvae.api.loading import load_encoder
    from textvae.data.input_rows import name_of, prepared_rows, warn_if_empty
    from textvae.progress import Watcher

    vae = load_encoder(model, device, "reconstruct")
    output.note_typing(file)
    watcher = Watcher(output.note, output.warn)
    rows = prepared_rows(file, vae.config.data, text_column=text_column, remarks=watcher.remarks)
    rows = warn_if_empty(rows, name_of(file), output.warn)
    pairs = reconstruct_all(vae, rows, watcher, sample_seed=seed if sample else None)
    decoding = vae.decoding().to_dict()
    for index, (text, reconstruction) in enumerate(pairs):
        record = {"index": index, "text": text, "reconstruction": reconstruction}
        record["decoding"] = decoding
        output.row(record, reconstruction)
