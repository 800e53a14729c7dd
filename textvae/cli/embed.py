"""`textvae embed`: sentences to vectors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from textvae.cli import options
from textvae.cli.output import Output
from textvae.errors import UsageError
from textvae.files.home import home_path
from textvae.number_format import counted

if TYPE_CHECKING:
    from textvae.export import WrittenVectors

EXAMPLES = (
    "textvae embed runs/mine sentences.txt --out vectors.npy",
    "cut -f2 reviews.tsv | textvae embed runs/mine --out vectors.parquet",
    "textvae embed runs/mine reviews.csv --layer encoder --quantize int8 --out vectors.npz",
    "accelerate launch -m textvae embed runs/mine large.txt --out vectors.safetensors",
)


def embed(
    model: options.Model,
    file: options.TextFile = "-",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            parser=home_path,
            metavar="X",
            help="X ends in .npy .npz .csv .jsonl .parquet .safetensors; or --json.",
        ),
    ] = None,
    sample: Annotated[
        bool, typer.Option("--sample", help="Write a sample of the posterior, not its mean.")
    ] = False,
    with_variance: Annotated[
        bool, typer.Option("--with-variance", help="Write the posterior's variances too.")
    ] = False,
    layer: options.Layer = "latent",
    normalize: options.Normalize = False,
    dimensions: options.Dimensions = None,
    quantize: Annotated[
        Literal["int8", "binary"] | None,
        typer.Option("--quantize", help="int8: x = scales * q + offsets; binary: one bit, x > 0."),
    ] = None,
    start_over: Annotated[
        bool,
        typer.Option("--start-over", help="Discard the partial run that was interrupted."),
    ] = False,
    text_column: options.TextColumn = None,
    label_column: options.LabelColumn = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    as_json: options.JsonLines = False,
    quiet: options.Quiet = False,
) -> None:
    """Turn sentences into vectors.

    The vector of a sentence is its posterior mean. The output has one row for each line of input,
    with texts and labels if the format can hold them. A blank line counts as the empty sentence.
    Sentences that are too long are truncated, and you are told how many. After an interruption, the
    same command continues if model, input and options are the same; otherwise it stops: pass
    --start-over to discard the partial run.
    """
    if out is None and not as_json:
        raise UsageError("--out X is missing: name a file for the vectors, or pass --json")
    from textvae.export import stream_vectors, write_vectors
    from textvae.export.formats import check_destination
    from textvae.export.job import Settings
    from textvae.export.sharing import check_shareable, is_shared, sharing
    from textvae.export.streaming import check_stream

    settings = Settings(layer, normalize, with_variance, seed if sample else None, dimensions)
    if out is not None:
        check_destination(out, file, scales=quantize == "int8", variances=with_variance)
    else:
        check_stream(quantize)
    if is_shared():
        check_shareable(file)
        if out is None:
            raise UsageError("--json cannot be shared by several processes; name a file with --out")
    output = Output(as_json=as_json, quiet=quiet)
    from textvae.api.loading import load_encoder
    from textvae.cli.progress import watching

    columns = {"text_column": text_column, "label_column": label_column}
    with sharing(device) as (processes, own_device):
        vae = load_encoder(model, own_device, "embed")
        output.quiet |= not processes.is_main  # one process speaks for all
        output.note_typing(file)
        common: dict[str, Any] = {**vars(settings), "quantize": quantize, **columns}
        with watching(output) as watcher:
            if out is None:
                for line in stream_vectors(vae, file, **common, watcher=watcher):
                    output.text(line)
                return
            written = write_vectors(
                vae,
                file,
                out,
                **common,
                start_over=start_over,
                processes=processes,
                watcher=watcher,
            )
        if written is not None:
            print_what_was_written(written, output)


def print_what_was_written(written: WrittenVectors, output: Output) -> None:
    """Print the size of the file and the columns that its format cannot hold."""
    from textvae.export.formats import WITH_TEXTS

    size = counted(written.dimensions, "dimension")
    how = {None: "", "int8": " of a byte", "binary": " of a bit"}[written.quantize]
    output.note(f"{counted(written.rows, 'vector')} of {size}{how} in {written.path}")
    if written.left_out:
        output.note(
            f"{written.path} has no place for {written.left_out}; its rows are in the order of the "
            f"input. {', '.join(WITH_TEXTS)} hold everything"
        )
