"""Sentences of a file or of stdin, in chunks, one row for each line."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from textvae.cli.output import Output
from textvae.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from textvae.api import TextVAE
    from textvae.data.readers import Row

CHUNK = 1024  # rows read, computed and written at once


def read_rows(
    vae: TextVAE,
    file: str,
    output: Output,
    *,
    text_column: str | None = None,
    label_column: str | None = None,
) -> Iterator[Row]:
    """The rows of `file`, prepared as the model's training text was; nothing is dropped.

    A text column that is not named is that of the training.
    """
    return prepared(
        vae,
        raw_rows(
            file,
            output,
            text_column=text_column or vae.config.data.text_column,
            label_column=label_column,
        ),
    )


def raw_rows(
    file: str, output: Output, *, text_column: str | None = None, label_column: str | None = None
) -> Iterator[Row]:
    """The rows of `file` as they stand there; nothing is dropped."""
    from textvae.data.readers import open_rows

    if file == "-" and sys.stdin is not None and sys.stdin.isatty():
        output.note("reading sentences from the terminal, one a line; end with Ctrl-D")
    return open_rows([file], text_column=text_column, label_column=label_column)


def prepared(vae: TextVAE, rows: Iterator[Row]) -> Iterator[Row]:
    """The rows with their texts prepared as the model's training text was."""
    from textvae.data.readers import clean_rows

    data = vae.config.data
    return clean_rows(rows, lowercase=data.lowercase, normalization=data.normalization)


def in_chunks(rows: Iterator[Row]) -> Iterator[tuple[int, list[Row]]]:
    """(index of the first row, rows), `CHUNK` rows at a time."""
    start = 0
    while chunk := list(itertools.islice(rows, CHUNK)):
        yield start, chunk
        start += len(chunk)


def load_encoder(name: str, device: str, what: str) -> TextVAE:
    """The model, with a latent to do `what` by; if not, no input is read in vain.

    Raises:
        UsageError: it is a language model.
    """
    from textvae.api import TextVAE

    vae = TextVAE.from_pretrained(name, device=device)
    if vae.kind == "lm":
        raise UsageError(f"{name} is a language model: it has no latent to {what} by")
    return vae


def encode_chunk(
    vae: TextVAE, texts: Sequence[str], start: int, *, sample: bool, seed: int
) -> NDArray[np.float32]:
    """The posterior mean of each text, or a sample of its posterior, (N, Z).

    A sample is that of the stream (seed, index), whatever the chunks.

    Args:
        start: index of the first text in the whole input.

    Raises:
        UsageError: a sample of an autoencoder, which has a point for each text, no posterior.
    """
    if not sample:
        return vae.encode(texts)
    from textvae.latent.streams import SampleStreams

    if vae.kind != "vae":
        raise UsageError("--sample: an autoencoder has no posterior to sample; leave it out")
    posterior = vae.posterior(texts)
    noise = SampleStreams(seed, range(start, start + len(texts))).prior_noise(vae.latent_size)
    return posterior.sample(noise.to(posterior.mean.device)).cpu().numpy()


def tell_cut(n: int, vae: TextVAE, output: Output) -> None:
    """Say how many sentences were cut, if any."""
    if n:
        sentences = "sentence" if n == 1 else "sentences"
        output.warn(f"{n:,} {sentences} exceeded {vae.max_tokens} tokens and were cut")
