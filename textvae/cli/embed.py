"""`textvae embed`: sentences to vectors."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from textvae.cli import options
from textvae.cli.output import Output
from textvae.cli.vectors import check_destination, json_row, vector_writer
from textvae.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from textvae.data.readers import Row

EXAMPLES = (
    "textvae embed runs/mine sentences.txt --out vectors.npy",
    "cut -f2 reviews.tsv | textvae embed runs/mine --out vectors.parquet",
)


def embed(
    model: options.Model,
    file: options.TextFile = "-",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="X",
            help="X ends in .npy .npz .csv .jsonl .parquet .safetensors; or --json.",
        ),
    ] = None,
    sample: Annotated[
        bool, typer.Option("--sample", help="A sample of the posterior, not its mean.")
    ] = False,
    text_column: options.TextColumn = None,
    label_column: options.LabelColumn = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    as_json: options.JsonLines = False,
    quiet: options.Quiet = False,
) -> None:
    """Turn sentences into vectors.

    The vector of a sentence is its posterior mean; there is one row for each line of input. Texts
    and labels go along where the format has a place for them. A blank line is the empty sentence;
    one that is too long is cut and counted.
    """
    if out is None and not as_json:
        raise UsageError("--out X is missing: name a file for the vectors, or print them by --json")
    if out is not None:
        check_destination(out)
    output = Output(as_json=as_json, quiet=quiet)
    from textvae.cli.progress import progress_bars
    from textvae.cli.sentences import encode_chunk, in_chunks, load_encoder, read_rows, tell_cut

    vae = load_encoder(model, device, "embed")
    rows = read_rows(vae, file, output, text_column=text_column, label_column=label_column)
    destination = (
        nullcontext(RowPrinter(output)) if out is None else vector_writer(out, vae.latent_size)
    )
    n = n_cut = 0
    with destination as writer, progress_bars(output) as progress:
        for start, chunk in in_chunks(rows):
            texts = [row.text for row in chunk]
            vectors = encode_chunk(vae, texts, start, sample=sample, seed=seed)
            writer.write(start, chunk, vectors)
            n += len(chunk)
            n_cut += vae.overlong(texts)
            progress("embedding", n, 0)
    tell_cut(n_cut, vae, output)
    if out is not None:
        output.note(f"{n:,} vectors of {vae.latent_size} dimensions in {out}")


class RowPrinter:
    """Prints a JSON object for each row, where a file would take them."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def write(self, start: int, rows: Sequence[Row], vectors: NDArray[np.float32]) -> None:
        """Print `vectors` (N, Z) of `rows`; `start` is the index of the first."""
        for index, (row, vector) in enumerate(zip(rows, vectors, strict=True), start):
            self._output.row(json_row(index, row, vector), "")

    def close(self) -> None:
        """Nothing to finish."""
