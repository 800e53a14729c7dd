"""The vectors of the lines of a source: computed by a model, or reused from a file of vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from textvae.api.encoding import warn_of_cut
from textvae.api.protocol import TextModel
from textvae.data import input_rows
from textvae.data.input_rows import Sentences, name_of
from textvae.data.rows import Row
from textvae.data.vector_files import VectorFile, holds_vectors, open_vectors
from textvae.errors import DataError, UsageError, flag, option, worded
from textvae.files.home import home_path
from textvae.latent.clusters import unit
from textvae.latent.quantization import Int8Map, unpacked_signs
from textvae.models.sentence import Layer
from textvae.number_format import counted
from textvae.progress import Watcher

_COMPARED = 32  # first rows of a file whose vectors are computed again
_KINDS = {None: "f", "int8": "i1", "binary": "u1"}  # of stored numbers, by quantization
_ALIKE = 0.95  # least mean cosine of both; codes of bytes reach it, another model does not


@dataclass(frozen=True, eq=False)
class LineBlock:
    """Consecutive lines with their vectors."""

    first: int  # index of the first
    vectors: NDArray[np.floating]  # (B, D)
    rows: list[Row] | None  # None where the texts are not known


@dataclass(frozen=True)
class LineVectors:
    """The vectors of the lines of a source, a block at a time.

    Args:
        name: of the source, in messages.
        n: lines; None where only the end of the source says.
        normalize: True if the vectors have length 1.
        file: the file that they stand in; None where they are computed.
    """

    name: str
    n: int | None
    layer: Layer
    normalize: bool
    file: VectorFile | None
    _blocks: Callable[[], Iterator[LineBlock]] = field(repr=False)

    def blocks(self) -> Iterator[LineBlock]:
        """The lines, from the first on at each call; a source that can be read once, once.

        Raises:
            DataError: damaged content, or a vector that is not finite.
        """
        for block in self._blocks():
            small = block.vectors.astype(np.float32, copy=False)
            finite = np.isfinite(np.einsum("bd,bd->b", small, small))
            if not finite.all():
                row = block.first + int(np.argmin(finite))
                raise DataError(
                    f"{self.name}: the vector of row {row} is not finite, or far too long"
                )
            yield block


def line_vectors(
    vae: TextModel,
    sentences: Sentences,
    *,
    texts: Sentences | None = None,
    layer: Layer | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    watcher: Watcher,
) -> LineVectors:
    """The vectors of all lines of a text, or those of a `.npy` or `.parquet` file of `embed`.

    Args:
        texts: the sentences of a file that has only vectors, a row for each vector.
        layer: of the vectors; None: the layer that the file names, or the latent.

    Raises:
        UsageError: `texts` beside a source that has texts, or another layer than the file's.
        DataError: vectors of another model, or another number of texts.
    """
    place = home_path(sentences) if isinstance(sentences, str | Path) else None

    def rows_of(source: Sentences) -> Iterator[Row]:
        return input_rows.prepared_rows(
            source,
            vae.config.data,
            text_column=text_column,
            label_column=label_column,
            remarks=watcher.remarks,
        )

    if place is None or not holds_vectors(place):
        if texts is not None:
            raise UsageError(
                f"{option('texts')} goes with a file of vectors, and {name_of(sentences)} is text; "
                f"leave {flag('texts')} out"
            )
        used: Layer = layer or "latent"
        rows = rows_of(sentences)  # now, so that a missing file is an error at the call

        def encoded() -> Iterator[LineBlock]:
            return _encoded(vae, rows, used, watcher)

        return LineVectors(name_of(sentences), None, used, False, None, encoded)
    file = open_vectors(place)
    if texts is not None and file.has_texts:
        raise UsageError(f"{place} has texts of its own; leave {flag('texts')} out")
    used = _layer_of(file, layer)
    decode = _decoder(file, vae.vector_size(used), used)
    sampled = file.description.get("sample_seed") is not None  # not what the model computes

    def stored() -> Iterator[LineBlock]:
        rows = None if texts is None else rows_of(texts)
        blocks = _stored(file, decode, rows, None if texts is None else name_of(texts))
        return blocks if sampled else _checked(vae, blocks, file, used)

    normalize = bool(file.description.get("normalize"))
    return LineVectors(str(place), file.n, used, normalize, file, stored)


def _encoded(
    vae: TextModel, rows: Iterator[Row], layer: Layer, watcher: Watcher
) -> Iterator[LineBlock]:
    n_cut = 0
    for first, chunk in input_rows.in_chunks(rows):
        found = vae.embed([row.text for row in chunk], layer=layer)
        n_cut += found.cut
        yield LineBlock(first, found.vectors, chunk)
    warn_of_cut(n_cut, vae.max_tokens_read, watcher.warn)


def _layer_of(file: VectorFile, layer: Layer | None) -> Layer:
    """The layer that the file names; where it names none, the one that was asked for."""
    named = file.description.get("layer")
    if named is None:
        return layer or "latent"
    if named not in get_args(Layer):
        raise DataError(f"{file.path}: layer {named!r}; expected {' or '.join(get_args(Layer))}")
    if layer not in (None, named):
        raise UsageError(
            f"{option('layer', layer)}: the vectors of {file.path} are of the layer {named}; leave "
            f"{flag('layer')} out, or write another file"
        )
    return named  # type: ignore[no-any-return]


def _decoder(file: VectorFile, size: int, layer: Layer) -> Any:
    """The function that turns stored rows into vectors (B, D).

    Raises:
        DataError: rows of another size, or of a type that cannot be decoded.
    """
    quantize, described = file.description.get("quantize"), file.description
    width = -(-size // 8) if quantize == "binary" else size
    known = quantize is None or isinstance(quantize, str)  # it may be anything that JSON holds
    if not known or _KINDS.get(quantize) != (file.kind if quantize else file.kind[0]):
        raise DataError(
            f"{file.path}: the type of its numbers, {file.kind}, does not say how to decode them; "
            + worded(
                "write a .parquet file with textvae embed, or vectors without --quantize",
                "write a .parquet file with write_vectors, or vectors without quantize",
            )
        )
    if file.width != width:
        raise DataError(
            f"{file.path}: rows of {counted(file.width, 'value')}; the {layer} vectors of this "
            f"model have {width}: another model or another layer wrote the file, or "
            f"{flag('dimensions')} shortened the vectors"
        )
    if quantize == "binary":
        return lambda codes: unpacked_signs(codes, size)
    if quantize == "int8":
        try:
            scales, offsets = (
                np.asarray(described[name], dtype=np.float32) for name in ("scales", "offsets")
            )
        except (KeyError, TypeError, ValueError):
            scales = offsets = np.empty(0, dtype=np.float32)
        if not scales.shape == offsets.shape == (size,):
            raise DataError(f"{file.path}: scales or offsets are missing or damaged")
        return Int8Map(scales, offsets).decode
    return lambda vectors: vectors


def _stored(
    file: VectorFile, decode: Any, rows: Iterator[Row] | None, texts: str | None
) -> Iterator[LineBlock]:
    """The blocks of the file, each with its texts, from the file or from `rows`."""
    for block in file.blocks():
        own: list[Row] | None = None
        if block.texts is not None:
            labels = block.labels or [None] * len(block.texts)
            own = [Row(text, label) for text, label in zip(block.texts, labels, strict=True)]
        elif rows is not None:
            own = [row for _, row in zip(block.vectors, rows, strict=False)]
            if len(own) < len(block.vectors):
                n = block.first + len(own)
                raise DataError(
                    f"{texts}: {counted(n, 'line')}, but {file.path} has "
                    f"{counted(file.n, 'vector')}; give the file that the vectors are of"
                )
        yield LineBlock(block.first, decode(block.vectors), own)
    if rows is not None and next(rows, None) is not None:
        raise DataError(
            f"{texts}: more than {counted(file.n, 'line')}, the number of vectors in {file.path}; "
            "give the file that the vectors are of"
        )


def _checked(
    vae: TextModel, blocks: Iterator[LineBlock], file: VectorFile, layer: Layer
) -> Iterator[LineBlock]:
    """The blocks; the first vectors are compared with those that the model computes.

    Raises:
        DataError: they differ.
    """
    for block in blocks:
        if block.first == 0 and block.rows is not None:
            own = vae.embed([row.text for row in block.rows[:_COMPARED]], layer=layer).vectors
            if file.description.get("quantize") == "binary":
                own = np.where(own > 0, np.float32(1), np.float32(-1))
            cosine = float((unit(own) * unit(block.vectors[:_COMPARED])).sum(1).mean())
            if cosine < _ALIKE:
                raise DataError(
                    f"{file.path}: the vectors are not those of its texts under this model; write "
                    f"them again with {worded('textvae embed', 'write_vectors')}"
                )
        yield block
