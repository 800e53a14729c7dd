"""Vector files written in parts, so that an interrupted run continues where it stopped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textvae.arguments import seed_of
from textvae.data.input_rows import Sentences, name_of
from textvae.errors import DataError, UsageError, worded
from textvae.export.formats import (
    check_destination,
    check_extent,
    without_place,
    write_table,
)
from textvae.export.job import Job, Quantization, Settings, check_quantization
from textvae.export.parts import Parts, input_state
from textvae.export.sharing import Alone, check_shareable
from textvae.export.table import Block, Extent, VectorTable
from textvae.files.home import home_path
from textvae.files.lock import sole_use
from textvae.number_format import counted
from textvae.progress import Watcher
from textvae.progress.bars import shows_progress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from textvae.api import TextVAE
    from textvae.models.sentence import Layer
    from textvae.training.processes import Processes

PURPOSE = "writing vectors by way of"


@dataclass(frozen=True)
class WrittenVectors:
    """The content of a vector file.

    Args:
        path: the file.
        rows: one for each line of input.
        dimensions: D of a vector.
        quantize: `int8`, `binary`, or None for float32.
        cut: sentences beyond the model's limit.
        left_out: the columns that the format cannot hold: `texts`, `texts and labels`, or nothing.
    """

    path: Path
    rows: int
    dimensions: int
    quantize: Quantization | None
    cut: int
    left_out: str


@shows_progress
def write_vectors(
    vae: TextVAE,
    sentences: Sentences,
    out: str | Path,
    *,
    layer: Layer = "latent",
    normalize: bool = False,
    dimensions: int | None = None,
    with_variance: bool = False,
    sample_seed: int | None = None,
    quantize: Quantization | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    start_over: bool = False,
    processes: Alone | Processes | None = None,
    watcher: Watcher | None = None,
) -> WrittenVectors | None:
    """Write the vectors of sentences into a file; the result describes its content.

    An interrupted call keeps its finished parts beside the file, and the same call continues from
    them. An input that can be read twice is checked before the work.

    >>> vae = TextVAE.from_pretrained("runs/mine")  # doctest: +SKIP
    >>> write_vectors(vae, "reviews.csv", "reviews.parquet", quantize="int8")  # doctest: +SKIP
    WrittenVectors(path=PosixPath('reviews.parquet'), rows=1200, dimensions=32, ...)

    Args:
        sentences: a file, glob, `-` (stdin), `hf:` name, or sentences in memory.
        out: the file; its name ends in .npy .npz .csv .jsonl .parquet or .safetensors.
        layer, normalize, dimensions, with_variance, sample_seed: as in `TextVAE.embed`.
        quantize: `int8`: a byte a dimension, x = scales * q + offsets; `binary`: a bit, x > 0.
        start_over: discard what an interrupted run has done.
        processes: the processes that share the work, see `textvae.export.sharing`.

    Returns:
        None in all processes but the main one.

    Raises:
        UsageError: options that contradict each other; a format that cannot hold what is asked
            for; parts of another run; a language model; an autoencoder without a posterior.
        NotFoundError: the input or the folder of the file is not there.
        DataError: an input that cannot be read, or that changed meanwhile.
    """
    sample_seed = None if sample_seed is None else seed_of(sample_seed, "sample_seed")
    settings = Settings(layer, normalize, with_variance, sample_seed, dimensions)
    check_quantization(quantize)
    out = home_path(out)
    inputs = [str(sentences)] if isinstance(sentences, str | Path) else []
    check_destination(out, *inputs, scales=quantize == "int8", variances=with_variance)
    processes = processes or Alone()
    if processes.count > 1:
        check_shareable(sentences)
    job = Job(vae, sentences, text_column or vae.config.data.text_column, label_column, settings)
    empty, _ = job.block(0, [])  # raises now if the model lacks what is asked for
    writer = VectorWriter(job, out, quantize, processes, watcher or Watcher(), Parts(out), empty)
    return writer.write(start_over=start_over)


@dataclass(frozen=True)
class VectorWriter:
    """A job whose vectors become a file, with the parts that are done.

    Args:
        empty: a block without rows: widths and types of the arrays.
    """

    job: Job
    out: Path
    quantize: Quantization | None
    processes: Alone | Processes
    watcher: Watcher
    parts: Parts
    empty: Block

    def write(self, *, start_over: bool) -> WrittenVectors | None:
        """Compute the parts that are missing, then write the file; None beside the main process."""
        inputs, main = input_state(self.job.sentences), self.processes.is_main
        try:
            with sole_use(self.parts.folder, PURPOSE) if main else nullcontext():
                return self.fill(inputs, start_over=start_over)
        except (KeyboardInterrupt, SystemExit):
            if main and self.parts.are_none():  # it came when the folder was just made
                with suppress(UsageError, OSError), sole_use(self.parts.folder, PURPOSE):
                    self.parts.remove()
            raise

    def fill(self, inputs: object, *, start_over: bool) -> WrittenVectors | None:
        """Compute the parts and write the file from them.

        An interruption leaves the parts of an input that can be read twice.
        """
        ahead, keep, claimed = Extent(), inputs is not None, False
        try:
            if self.processes.is_main:
                self.parts.claim(self.job.identity(inputs), start_over=start_over)
                claimed = True
            if inputs is not None:
                self.read_ahead(ahead)
            self.processes.wait()
            extent = self.compute(ahead.n)
            self.processes.wait()
            if not self.processes.is_main:
                return None
            if input_state(self.job.sentences) != inputs:
                keep = False
                name = name_of(self.job.sentences)
                raise DataError(f"{name}: changed while it was read; start again")
            write_table(self.out, self.table(extent))
            written = self.written(extent)
            keep = False
        except (KeyboardInterrupt, SystemExit, OSError):
            if claimed and keep and (done := self.parts.rows_done()):
                are = "is" if done == 1 else "are"
                self.watcher.note(
                    f"{counted(done, 'sentence')} {are} done and kept in {self.parts.folder}; "
                    f"repeat the {worded('command', 'call')} to continue from there"
                )
            raise
        finally:
            kept = keep or not claimed  # the parts of another run stay
            if self.processes.is_main and not (kept and self.parts.rows_done()):
                self.parts.remove()
        return written

    def read_ahead(self, ahead: Extent) -> None:
        """Count the rows of the input into `ahead`, so that errors in it appear before the work."""
        for _ in self.job.parts(ahead, self.watcher.remarks):
            self.watcher.progress("reading", ahead.n, 0)
        check_extent(self.out, ahead)
        if self.processes.is_main and (done := self.parts.rows_done()):
            so_far = f"{done:,} of {counted(ahead.n, 'sentence')}"
            self.watcher.note(f"continuing: {so_far} are done in {self.parts.folder}")

    def compute(self, total: int) -> Extent:
        """Write this process's share of the missing parts; the extent of all rows."""
        extent = Extent()
        for number, (start, rows) in enumerate(self.job.parts(extent, self.watcher.remarks)):
            check_extent(self.out, extent)
            mine = number % self.processes.count == self.processes.rank
            if mine and not self.parts.holds(number, len(rows)):
                self.parts.write(number, *self.job.block(start, rows))
            self.watcher.progress("embedding", extent.n, total)
        return extent

    def written(self, extent: Extent) -> WrittenVectors:
        """The content of the file; warns of truncated sentences."""
        from textvae.api.encoding import warn_of_cut

        cut = self.parts.cut(self.parts.count(extent.n))
        warn_of_cut(cut, self.job.vae.max_tokens_read, self.watcher.warn)
        dimensions, left_out = self.empty.vectors.shape[1], without_place(self.out, extent)
        return WrittenVectors(self.out, extent.n, dimensions, self.quantize, cut, left_out)

    def table(self, extent: Extent) -> VectorTable:
        """The rows of all parts, quantized if asked for, as a format writes them."""
        import numpy as np

        from textvae.latent.quantization import Int8Map, sign_bits

        def blocks() -> Iterator[Block]:
            for block in self.parts.blocks(self.parts.count(extent.n)):
                yield block
                self.watcher.progress("writing", block.indices.stop, extent.n)

        dimensions = self.empty.vectors.shape[1]
        facts = {
            **vars(self.job.settings),
            "kind": self.job.vae.kind,
            "dimensions": dimensions,
            "quantize": self.quantize,
        }
        if self.quantize is None:
            return VectorTable(extent, blocks, self.empty, facts=facts)
        constants: dict[str, NDArray[Any]]
        if self.quantize == "int8":
            codes = Int8Map.spanning(*value_range(blocks(), dimensions))
            convert: Any = codes.encode
            constants = {"scales": codes.scales, "offsets": codes.offsets}
        else:
            convert, constants = sign_bits, {"dimensions": np.array(dimensions)}

        def converted() -> Iterator[Block]:
            return (replace(block, vectors=convert(block.vectors)) for block in blocks())

        empty = replace(self.empty, vectors=convert(self.empty.vectors))
        return VectorTable(extent, converted, empty, constants, facts)


def value_range(
    blocks: Iterator[Block], dimensions: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The lowest and the highest value of each dimension, (D,); zeros if there are no rows."""
    import numpy as np

    low = high = None
    for block in blocks:
        lowest, highest = block.vectors.min(0), block.vectors.max(0)
        low = lowest if low is None else np.minimum(low, lowest)
        high = highest if high is None else np.maximum(high, highest)
    nothing = np.zeros(dimensions, dtype=np.float32)
    return (nothing if low is None else low), (nothing if high is None else high)
