"""Vectors as JSON lines, printed or sent on as they are computed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from textvae.arguments import seed_of
from textvae.data.input_rows import Sentences, in_chunks, name_of, warn_if_empty
from textvae.errors import UsageError, worded
from textvae.export.formats import json_lines
from textvae.export.job import Job, Quantization, Settings, check_quantization
from textvae.progress import Watcher

if TYPE_CHECKING:
    from textvae.api import TextVAE
    from textvae.data.rows import Row
    from textvae.models.sentence import Layer


def stream_vectors(
    vae: TextVAE,
    sentences: Sentences,
    *,
    layer: Layer = "latent",
    normalize: bool = False,
    dimensions: int | None = None,
    with_variance: bool = False,
    sample_seed: int | None = None,
    quantize: Quantization | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    watcher: Watcher | None = None,
) -> Iterator[str]:
    """A JSON object for each sentence, as soon as its vector is there; see `write_vectors`.

    Raises:
        UsageError: as `write_vectors`; and int8, whose scales need a file.
    """
    sample_seed = None if sample_seed is None else seed_of(sample_seed, "sample_seed")
    settings = Settings(layer, normalize, with_variance, sample_seed, dimensions)
    check_stream(quantize)
    check_quantization(quantize)
    job = Job(vae, sentences, text_column or vae.config.data.text_column, label_column, settings)
    watcher = watcher or Watcher()
    rows = warn_if_empty(job.rows(watcher.remarks), name_of(sentences), watcher.warn)
    return _lines(job, rows, quantize, watcher)


def _lines(
    job: Job, rows: Iterator[Row], quantize: Quantization | None, watcher: Watcher
) -> Iterator[str]:
    from textvae.api.encoding import warn_of_cut
    from textvae.latent.quantization import sign_bits

    n_cut = 0
    for start, chunk in in_chunks(rows):
        block, cut = job.block(start, chunk)
        n_cut += cut
        if quantize == "binary":
            block = replace(block, vectors=sign_bits(block.vectors))
        yield from json_lines(block)
        watcher.progress("embedding", start + len(chunk), 0)
    warn_of_cut(n_cut, job.vae.max_tokens_read, watcher.warn)


def check_stream(quantize: Quantization | None) -> None:
    """Raise UsageError for a quantization whose scales a stream of rows has no place for."""
    if quantize == "int8":
        raise UsageError(
            worded(
                "--quantize int8 with --json: its scales need a file; name one with --out",
                "quantize='int8': its scales need a file; use write_vectors",
            )
        )
