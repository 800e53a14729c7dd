"""`textvae embed`: sentences to vectors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from textvae.cli import options
from textvae.cli.output import Output
from textvae.cli.sharing import Alone, is_shared, sharing
from textvae.errors import DataError, UsageError
from textvae.export.formats import WITH_TEXTS, check_destination, without_place
from textvae.wording import counted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from textvae.api import TextVAE
    from textvae.data.readers import Row
    from textvae.export.formats import Block, Extent, VectorTable
    from textvae.export.parts import Parts
    from textvae.progress import Progress
    from textvae.training.processes import Processes

PURPOSE = "writing vectors by way of"
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
            metavar="X",
            help="X ends in .npy .npz .csv .jsonl .parquet .safetensors; or --json.",
        ),
    ] = None,
    sample: Annotated[
        bool, typer.Option("--sample", help="A sample of the posterior, not its mean.")
    ] = False,
    with_variance: Annotated[
        bool, typer.Option("--with-variance", help="The posterior's variances beside its means.")
    ] = False,
    layer: options.Layer = "latent",
    normalize: options.Normalize = False,
    quantize: Annotated[
        Literal["int8", "binary"] | None,
        typer.Option(
            "--quantize", help="A byte a dimension, x = scales * q + offsets; or a bit, x > 0."
        ),
    ] = None,
    start_over: Annotated[
        bool, typer.Option("--start-over", help="Drop what an interrupted run has done.")
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
    one that is too long is cut and counted. When it is interrupted, the same command goes on;
    with another model, input or other options it refuses to, unless it shall --start-over.
    """
    if out is None and not as_json:
        raise UsageError("--out X is missing: name a file for the vectors, or print them by --json")
    check_options(sample=sample, with_variance=with_variance, layer=layer, normalize=normalize)
    if out is not None:
        check_destination(out, file, scales=quantize == "int8", variances=with_variance)
    elif quantize == "int8":
        raise UsageError("--quantize int8 with --json: its scales need a file; name one by --out")
    if is_shared() and (file == "-" or out is None):
        what = "stdin cannot be shared" if file == "-" else "--json cannot be shared"
        raise UsageError(f"{what} by several processes; give FILE and --out, or start one process")
    output = Output(as_json=as_json, quiet=quiet)
    from textvae.cli.sentences import load_encoder

    settings = {
        "layer": layer,
        "normalize": normalize,
        "with_variance": with_variance,
        "sample_seed": seed if sample else None,
    }
    with sharing(device) as (processes, own_device):
        vae = load_encoder(model, own_device, "embed")
        job = Job(vae, file, text_column or vae.config.data.text_column, label_column, settings)
        if out is None:
            print_vectors(job, output, quantize)
        else:
            output.quiet |= not processes.is_main  # of all that say the same, one does
            write_vectors(job, out, output, quantize, processes, start_over)


def check_options(*, sample: bool, with_variance: bool, layer: str, normalize: bool) -> None:
    """Raise UsageError where options contradict each other, before anything is loaded."""
    for given, other, reason in (
        (sample, layer != "latent" and f"--layer {layer}", "only the latent has a posterior"),
        (with_variance, layer != "latent" and f"--layer {layer}", "only the latent has them"),
        (with_variance, sample and "--sample", "they are those of the means"),
        (with_variance, normalize and "--normalize", "they are those of the means as they are"),
    ):
        if given and other:
            option = "--with-variance" if with_variance else "--sample"
            raise UsageError(f"{option} with {other}: {reason}; leave one of them out")


@dataclass(frozen=True)
class Job:
    """What is computed: which sentences, by which model, and how."""

    vae: TextVAE
    file: str
    text_column: str | None
    label_column: str | None
    settings: dict[str, Any]  # of TextVAE.embed

    def rows(self, output: Output) -> Iterator[Row]:
        """The sentences, one for each line of input."""
        from textvae.cli.sentences import read_rows

        return read_rows(
            self.vae,
            self.file,
            output,
            text_column=self.text_column,
            label_column=self.label_column,
        )

    def block(self, start: int, rows: list[Row]) -> tuple[Block, int]:
        """The rows with their vectors, and how many of the sentences were cut."""
        from textvae.export.formats import Block

        texts = [row.text for row in rows]
        found = self.vae.embed(texts, first=start, **self.settings)
        labels = [row.label for row in rows]
        return Block(start, texts, labels, found.vectors, found.variances), found.cut

    def run(self, inputs: object) -> dict[str, Any]:
        """All that the vectors depend on; `inputs` says what the input is."""
        from textvae.export.parts import PART, folder_digest

        return {
            "model": folder_digest(self.vae.folder),
            "input": inputs,
            "text_column": self.text_column,
            "label_column": self.label_column,
            **self.settings,
            "device": self.vae.model.device.type,  # whose arithmetic differs in the last bits
            "part": PART,
        }


def print_vectors(job: Job, output: Output, quantize: str | None) -> None:
    """Print a JSON object for each row, as soon as it is there."""
    from textvae.cli.progress import progress_bars
    from textvae.cli.sentences import in_chunks, tell_cut, told_if_none
    from textvae.export.formats import json_lines
    from textvae.latent.quantization import sign_bits

    n_cut = 0
    with progress_bars(output) as progress:
        for start, rows in in_chunks(told_if_none(job.rows(output), job.file, output)):
            block, cut = job.block(start, rows)
            n_cut += cut
            if quantize == "binary":
                block = replace(block, vectors=sign_bits(block.vectors))
            for line in json_lines(block):
                output.text(line)
            progress("embedding", start + len(rows), 0)
    tell_cut(n_cut, job.vae, output)


def write_vectors(
    job: Job,
    out: Path,
    output: Output,
    quantize: str | None,
    processes: Alone | Processes,
    start_over: bool,
) -> None:
    """Compute what is not there yet, part by part, then write the file from all parts.

    An input that can be read twice is read through first: what is wrong in it is then found
    before the work and not in its middle.
    """
    from textvae.export.parts import Parts, input_state
    from textvae.files.lock import sole_use

    empty, _ = job.block(0, [])  # also raises now what the model cannot do
    inputs, parts = input_state(job.file), Parts(out)
    main = processes.is_main
    try:
        with sole_use(parts.folder, PURPOSE) if main else nullcontext():
            extent = fill(job, out, output, quantize, processes, parts, inputs, empty, start_over)
    except (KeyboardInterrupt, SystemExit):
        if main and parts.are_none():  # it came when the folder was just made
            with suppress(UsageError, OSError), sole_use(parts.folder, PURPOSE):
                parts.remove()
        raise
    if extent is not None:
        size = counted(empty.vectors.shape[1], "dimension")
        how = {None: "", "int8": " of a byte", "binary": " of a bit"}[quantize]
        output.note(f"{counted(extent.n, 'vector')} of {size}{how} in {out}")
        if left_out := without_place(out, extent):
            output.note(
                f"{out} has no place for {left_out}, its rows are those of the input; "
                f"{', '.join(WITH_TEXTS)} hold all"
            )


def fill(
    job: Job,
    out: Path,
    output: Output,
    quantize: str | None,
    processes: Alone | Processes,
    parts: Parts,
    inputs: object,
    empty: Block,
    start_over: bool,
) -> Extent | None:
    """Compute the parts and make the file of them; what is in it, where this is the main process.

    An interruption leaves the parts of an input that can be read twice.
    """
    from textvae.cli.progress import progress_bars
    from textvae.cli.sentences import tell_cut
    from textvae.export.formats import Extent, check_extent, write_table
    from textvae.export.parts import input_state

    ahead, keep, claimed = Extent(), inputs is not None, False
    try:
        if processes.is_main:
            parts.claim(job.run(inputs), start_over=start_over)
            claimed = True
        with progress_bars(output) as progress:
            if inputs is not None:
                for _ in in_parts(job.rows(output), ahead):
                    progress("reading", ahead.n, 0)
                check_extent(out, ahead)
            if processes.is_main and (done := parts.rows_done()):
                so_far = f"{done:,} of {counted(ahead.n, 'sentence')}"
                output.note(f"going on: {so_far} are done in {parts.folder}")
            processes.wait()
            extent = compute(job, parts, out, output, processes, progress, ahead.n)
            processes.wait()
            if not processes.is_main:
                return None
            if input_state(job.file) != inputs:
                keep = False
                raise DataError(f"{job.file}: changed while it was read; run the command again")
            write_table(out, table_of(parts, extent, empty, job, quantize, progress))
        tell_cut(parts.cut(parts.count(extent.n)), job.vae, output)
        keep = False
    except (KeyboardInterrupt, SystemExit, OSError):
        if claimed and keep and (done := parts.rows_done()):
            are = "is" if done == 1 else "are"
            output.note(
                f"{counted(done, 'sentence')} {are} done and kept in {parts.folder}; the same "
                "command goes on from there"
            )
        raise
    finally:
        kept = keep or not claimed  # what another run left is not ours to remove
        if processes.is_main and not (kept and parts.rows_done()):
            parts.remove()
    return extent


def compute(
    job: Job,
    parts: Parts,
    out: Path,
    output: Output,
    processes: Alone | Processes,
    progress: Progress,
    total: int,
) -> Extent:
    """Write this process's share of the parts, but for those that are there; what there is."""
    from textvae.export.formats import Extent, check_extent

    extent = Extent()
    for number, (start, rows) in enumerate(in_parts(job.rows(output), extent)):
        check_extent(out, extent)
        if number % processes.count == processes.rank and not parts.holds(number, len(rows)):
            parts.write(number, *job.block(start, rows))
        progress("embedding", extent.n, total)
    return extent


def in_parts(rows: Iterator[Row], extent: Extent) -> Iterator[tuple[int, list[Row]]]:
    """(index of the first row, rows) of each part; `extent` counts what has passed."""
    from textvae.cli.sentences import in_chunks
    from textvae.export import parts

    return in_chunks(extent.watch(rows), parts.PART)


def table_of(
    parts: Parts, extent: Extent, empty: Block, job: Job, quantize: str | None, progress: Progress
) -> VectorTable:
    """The rows of all parts, quantized if asked for, as what a format writes."""
    import numpy as np

    from textvae.export.formats import VectorTable
    from textvae.latent.quantization import Int8Map, sign_bits

    def blocks() -> Iterator[Block]:
        for block in parts.blocks(parts.count(extent.n)):
            yield block
            progress("writing", block.indices.stop, extent.n)

    dimensions = empty.vectors.shape[1]
    facts = {**job.settings, "kind": job.vae.kind, "dimensions": dimensions, "quantize": quantize}
    if quantize is None:
        return VectorTable(extent, blocks, empty, facts=facts)
    constants: dict[str, NDArray[Any]]
    if quantize == "int8":
        codes = Int8Map.spanning(*value_range(blocks(), dimensions))
        convert: Any = codes.encode
        constants = {"scales": codes.scales, "offsets": codes.offsets}
    else:
        convert, constants = sign_bits, {"dimensions": np.array(dimensions)}

    def converted() -> Iterator[Block]:
        return (replace(block, vectors=convert(block.vectors)) for block in blocks())

    empty = replace(empty, vectors=convert(empty.vectors))
    return VectorTable(extent, converted, empty, constants, facts)


def value_range(
    blocks: Iterator[Block], dimensions: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The lowest and the highest value of each dimension, (D,); zeros where there is no row."""
    import numpy as np

    low = high = None
    for block in blocks:
        lowest, highest = block.vectors.min(0), block.vectors.max(0)
        low = lowest if low is None else np.minimum(low, lowest)
        high = highest if high is None else np.maximum(high, highest)
    nothing = np.zeros(dimensions, dtype=np.float32)
    return (nothing if low is None else low), (nothing if high is None else high)
