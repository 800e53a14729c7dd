"""A corpus of token ids in a memory-mapped Arrow file, and its copy on a device.

A file is a sequence of record batches ("slabs") with one row per sentence. Writing needs memory
for one slab; reading loads only the pages it uses.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from textvae.data.arrow import from_numpy, numbers, strings, to_numpy
from textvae.data.batches import Tokens
from textvae.data.doubts import C1_CONTROLS
from textvae.data.encoding import TextEncoder, spans
from textvae.data.rows import Row
from textvae.data.tokenizers import Tokenizer
from textvae.errors import DataError
from textvae.files.atomic import replacing

_SLAB_ROWS = 65_536
_SLAB_BYTES = 64 << 20
_PIECE_ROWS = 4_096  # most rows to encode at a time
_PIECE_CHARACTERS = 4 << 20
_DISK_RESERVE = 64 << 20
_SCHEMA = pa.schema(
    [
        pa.field("ids", pa.list_(pa.int32())),  # end token included
        pa.field("text", pa.large_string()),  # complete, even if the ids were truncated
        pa.field("label", pa.string()),
        pa.field("log_prob", pa.float64()),
    ]
)


@dataclass
class Counts:
    """Counts of rows by outcome; words (split at white space) and UTF-8 bytes of kept rows."""

    n_cut: int = 0
    n_dropped: int = 0
    n_blank: int = 0
    n_words: int = 0
    n_bytes: int = 0


class EncodedCorpus:
    """Sentences as token ids, read from a memory-mapped file.

    Raises:
        DataError: the file is damaged.
    """

    def __init__(self, path: Path, tokenizer: Tokenizer) -> None:
        self.path = path
        self.fingerprint = path.stem
        self.pad_id = tokenizer.pad_id
        self.vectors: np.ndarray | None = None  # (N, H) float32, of a frozen encoder
        try:
            reader = pa.ipc.open_file(pa.memory_map(str(path)))
            if reader.schema != _SCHEMA:
                raise pa.ArrowInvalid("the columns are not those of an encoded corpus")
            last, metadata = reader.get_batch_with_custom_metadata(reader.num_record_batches - 1)
            slabs = [reader.get_batch(i) for i in range(reader.num_record_batches - 1)] + [last]
            self._counts = Counts(**json.loads(metadata["counts"]))
        except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path}: damaged encoded corpus: {error}") from None
        self._slabs = [slab for slab in slabs if slab.num_rows]
        self._first_rows = np.cumsum([0, *(slab.num_rows for slab in self._slabs)])
        self._offsets = [to_numpy(slab.column("ids").offsets) for slab in self._slabs]
        self._ids = [to_numpy(slab.column("ids").values) for slab in self._slabs]
        lengths = [np.diff(offsets) for offsets in self._offsets]
        self.lengths: np.ndarray = np.concatenate([np.empty(0, np.int32), *lengths])
        self.n_cut, self.n_dropped = self._counts.n_cut, self._counts.n_dropped
        self.n_blank = self._counts.n_blank
        self.n_words, self.n_bytes = self._counts.n_words, self._counts.n_bytes

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def n_tokens(self) -> int:
        """Tokens of all sentences, end tokens included."""
        return int(self.lengths.sum(dtype=np.int64))

    def with_vectors(self, vectors: np.ndarray) -> EncodedCorpus:
        """The same sentences, each with its vector (N, H) by a frozen encoder."""
        other = copy(self)
        other.vectors = vectors
        return other

    @property
    def nbytes(self) -> int:
        """The size of token ids and vectors in bytes, in the files and on a device."""
        return 4 * self.n_tokens + (0 if self.vectors is None else self.vectors.nbytes)

    def tokens(self, indices: np.ndarray) -> Tokens:
        """The sentences of these rows, padded to the longest, on the CPU."""
        indices = np.asarray(indices)
        lengths = self.lengths[indices].astype(np.int64)
        padded = np.full((len(indices), lengths.max(initial=0)), self.pad_id, dtype=np.int64)
        for row, (slab, place), length in zip(
            padded, self._places(indices), lengths.tolist(), strict=True
        ):
            start = self._offsets[slab][place]
            row[:length] = self._ids[slab][start : start + length]
        vectors = None if self.vectors is None else torch.from_numpy(self.vectors[indices])
        return Tokens(torch.from_numpy(padded), torch.from_numpy(lengths), vectors)

    def _places(self, indices: np.ndarray) -> Iterator[tuple[int, int]]:
        """(slab, row in the slab) for each of these rows of the corpus."""
        slabs = np.searchsorted(self._first_rows, indices, side="right") - 1
        within = indices - self._first_rows[slabs]
        return zip(slabs.tolist(), within.tolist(), strict=True)

    def texts(self, indices: np.ndarray) -> list[str]:
        """The texts of these rows, lower-cased and normalised as configured, never truncated."""
        places = self._places(np.asarray(indices))
        return [self._slabs[slab].column("text")[place].as_py() for slab, place in places]

    @cached_property
    def n_with_controls(self) -> int:
        """How many sentences hold control characters from U+0080 to U+009F."""
        matches = (pc.match_substring_regex(text, C1_CONTROLS) for text in self.columns("text"))
        return sum(pc.sum(found).as_py() or 0 for found in matches)

    def columns(self, name: str) -> list[pa.Array]:
        """The column `name` of all sentences, in pieces that are mapped from the file."""
        return [slab.column(name) for slab in self._slabs]

    @cached_property
    def labels(self) -> list[str | None] | None:
        """The label of each sentence; None if no sentence has a label."""
        columns = self.columns("label")
        if all(column.null_count == len(column) for column in columns):
            return None
        return [label for column in columns for label in column.to_pylist()]

    @cached_property
    def log_probs(self) -> np.ndarray | None:
        """The true log-probability of each sentence in nats, (N,); NaN where a row has none."""
        columns = self.columns("log_prob")
        if all(column.null_count == len(column) for column in columns):
            return None
        return np.concatenate([column.to_numpy(zero_copy_only=False) for column in columns])

    def on_device(self, device: torch.device | str) -> DeviceCorpus:
        """A copy of the token ids on `device`."""
        flat = torch.empty(self.n_tokens, dtype=torch.int32, device=device)
        end = 0
        for ids in self._ids:
            start, end = end, end + len(ids)
            flat[start:end] = torch.tensor(ids)  # a copy: the file is mapped read-only
        vectors = None if self.vectors is None else torch.tensor(self.vectors, device=device)
        return DeviceCorpus(flat, self.lengths, self.pad_id, vectors)


class DeviceCorpus:
    """Token ids on a device, gathered there without synchronising with the CPU."""

    def __init__(
        self,
        flat: torch.Tensor,
        lengths: np.ndarray,
        pad_id: int,
        vectors: torch.Tensor | None = None,
    ) -> None:
        self.lengths = lengths
        self.pad_id = pad_id
        self._vectors = vectors
        self._flat = flat
        self._starts = np.cumsum(lengths, dtype=np.int64) - lengths

    def __len__(self) -> int:
        return len(self.lengths)

    def tokens(self, indices: np.ndarray) -> Tokens:
        """The sentences of these rows, padded to the longest, on the device."""
        device = self._flat.device
        spans = torch.from_numpy(np.stack([self._starts[indices], self.lengths[indices]]))
        longest = int(spans[1].max()) if len(indices) else 0  # on the CPU: no synchronisation for T
        if device.type == "cuda":
            spans = spans.pin_memory()
        starts, lengths = spans.to(device, non_blocking=True)
        vectors = None
        if self._vectors is not None:
            rows = torch.from_numpy(np.asarray(indices))
            rows = rows.pin_memory() if device.type == "cuda" else rows
            vectors = self._vectors[rows.to(device, non_blocking=True)]
        steps = torch.arange(longest, device=device)
        places = (starts[:, None] + steps).clamp_(max=len(self._flat) - 1)  # (B, T)
        padding = steps >= lengths[:, None]
        ids = self._flat[places].long().masked_fill_(padding, self.pad_id)
        return Tokens(ids, lengths, vectors)


def fits_on_device(corpus: EncodedCorpus, device: torch.device | str, share: float = 0.25) -> bool:
    """True if the ids of `corpus` take at most `share` of the free memory of `device`.

    False for the CPU, where a copy has no advantage over the mapped file.
    """
    device = torch.device(device)
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
    elif device.type == "mps":
        free = torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    else:
        return False
    return corpus.nbytes <= share * free


def write_corpus(
    path: Path,
    rows: Iterable[Row],
    tokenizer: Tokenizer,
    *,
    max_tokens: int,
    overlong: str,
    beside: Tokenizer | None = None,
) -> None:
    """Encode rows into a corpus file at `path`; see `corpus_writer`."""
    with corpus_writer(
        path, tokenizer, max_tokens=max_tokens, overlong=overlong, beside=beside
    ) as add:
        for row in rows:
            add(row)


@contextmanager
def corpus_writer(
    path: Path,
    tokenizer: Tokenizer,
    *,
    max_tokens: int,
    overlong: str,
    beside: Tokenizer | None = None,
) -> Iterator[Callable[[Row], None]]:
    """A function that encodes a row into a corpus file, which appears when the block ends.

    Blank rows are skipped. Sentences of more than `max_tokens` tokens, end token included, are
    truncated or dropped, depending on `overlong`. The file holds the counts of all three. `beside`
    is the tokenizer of another corpus of the same rows; sentences too long for it count as too
    long here.

    Raises:
        DataError: the disk has no room, or a row cannot be read.
        OSError: the file cannot be written; the error names `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Processes that write the same corpus at the same time write equal files.
    with replacing(path) as file, pa.ipc.new_file(file, _SCHEMA) as writer:

        def write(slab: pa.RecordBatch) -> None:
            check_free_disk(path.parent, slab.nbytes)
            writer.write_batch(slab)

        slabs = _Slabs(write, _PieceEncoder(tokenizer, beside, max_tokens, overlong))
        yield slabs.add
        slabs.flush()
        empty = pa.RecordBatch.from_pylist([], schema=_SCHEMA)
        writer.write_batch(empty, custom_metadata={"counts": json.dumps(asdict(slabs.counts))})


def check_free_disk(folder: Path, needed: int) -> None:
    """Raise DataError unless `folder` has `needed` bytes of free disk, and a reserve."""
    free = shutil.disk_usage(folder).free
    if free < needed + _DISK_RESERVE:
        raise DataError(
            f"{folder}: {free >> 20} MiB of disk are free, but the encoded corpus needs about "
            f"{(needed + _DISK_RESERVE) >> 20} MiB; choose another folder with data.cache_dir or "
            "TEXTVAE_CACHE, or delete files here"
        )


class _Piece(NamedTuple):
    """Some rows with their tokens.

    Columns, not rows: the garbage collector would visit each of the rows again and again.
    """

    texts: list[str]
    labels: list[str | None]
    log_probs: list[float | None]
    ids: np.ndarray  # of all rows, end tokens included
    lengths: np.ndarray  # tokens of each row, end token included
    n_bytes: np.ndarray  # of the text of each row in UTF-8


class _PieceEncoder:
    """Encodes rows, truncates or drops those that are too long, and counts."""

    def __init__(
        self, tokenizer: Tokenizer, beside: Tokenizer | None, max_tokens: int, overlong: str
    ) -> None:
        self.counts = Counts()
        self._eos_id = tokenizer.eos_id
        self._encoder = TextEncoder(tokenizer)
        self._beside = None if beside is None else TextEncoder(beside)
        self._max_tokens, self._overlong = max_tokens, overlong

    def encode(self, rows: list[Row]) -> _Piece:
        """The rows that are kept, with their tokens."""
        kept = [row for row in rows if row.text and not row.text.isspace()]
        self.counts.n_blank += len(rows) - len(kept)
        texts = [row.text for row in kept]
        ids, lengths, words = self._encoder.encode(texts)
        longest = lengths
        if self._beside is not None:
            longest = np.maximum(lengths, self._beside.encode(texts).lengths)
        starts = np.cumsum(lengths) - lengths
        too_long = longest >= self._max_tokens
        if self._overlong == "drop" and too_long.any():
            self.counts.n_dropped += int(too_long.sum())
            kept = [
                row for row, dropped in zip(kept, too_long.tolist(), strict=True) if not dropped
            ]
            starts, lengths, words = starts[~too_long], lengths[~too_long], words[~too_long]
        else:
            self.counts.n_cut += int(too_long.sum())
        lengths = np.minimum(lengths, self._max_tokens - 1)
        self.counts.n_words += int(words.sum())
        texts = [row.text for row in kept]
        n_bytes = np.fromiter(map(_utf8_bytes, texts), np.int64, len(texts))
        self.counts.n_bytes += int(n_bytes.sum())
        with_ends = np.full(int(lengths.sum()) + len(kept), self._eos_id, dtype=np.int32)
        with_ends[spans(np.cumsum(lengths + 1) - lengths - 1, lengths)] = ids[
            spans(starts, lengths)
        ]
        labels, log_probs = [row.label for row in kept], [row.log_prob for row in kept]
        return _Piece(texts, labels, log_probs, with_ends, lengths + 1, n_bytes)


def _utf8_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


class _Slabs:
    """Collects rows, and writes a record batch whenever there are enough of them."""

    def __init__(self, write: Callable[[pa.RecordBatch], None], encoder: _PieceEncoder) -> None:
        self.counts = encoder.counts
        self._write, self._encoder = write, encoder
        self._waiting: list[Row] = []  # to be encoded together
        self._most_waiting = min(_PIECE_ROWS, _SLAB_ROWS)
        self._characters = 0
        self._pieces: list[_Piece] = []  # to be written together
        self._n_rows = self._n_bytes = 0  # of the pieces, the bytes approximate

    def add(self, row: Row) -> None:
        """Take another row."""
        self._waiting.append(row)
        self._characters += len(row.text)
        if len(self._waiting) >= self._most_waiting or self._characters >= _PIECE_CHARACTERS:
            self._encode()

    def flush(self) -> None:
        """Write the last rows."""
        self._encode()
        self._write_slab()

    def _encode(self) -> None:
        if self._waiting:
            piece = self._encoder.encode(self._waiting)
            labels = sum(len(label or "") for label in piece.labels)
            self._n_rows += len(piece.texts)
            self._n_bytes += piece.ids.nbytes + self._characters + labels
            self._pieces.append(piece)
            self._waiting, self._characters = [], 0
        if self._n_rows >= _SLAB_ROWS or self._n_bytes >= _SLAB_BYTES:
            self._write_slab()

    def _write_slab(self) -> None:
        if self._n_rows:
            self._write(_slab(self._pieces))
        self._pieces = []
        self._n_rows = self._n_bytes = 0


def _slab(pieces: Sequence[_Piece]) -> pa.RecordBatch:
    texts, labels, log_probs, ids, lengths, n_bytes = zip(*pieces, strict=True)
    offsets = np.cumsum(np.concatenate([[0], *lengths])).astype(np.int32)
    columns = [
        pa.ListArray.from_arrays(from_numpy(offsets), from_numpy(np.concatenate(ids))),
        _strings(list(chain.from_iterable(texts)), np.concatenate(n_bytes)),
        strings(list(chain.from_iterable(labels))),
        numbers(list(chain.from_iterable(log_probs))),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=_SCHEMA)


def _strings(texts: Sequence[str], n_bytes: np.ndarray) -> pa.Array:
    """The texts, of so many bytes each, as `pa.array` gives them, but ten times faster."""
    offsets = np.concatenate([[0], np.cumsum(n_bytes)])
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer("".join(texts).encode())]
    return pa.Array.from_buffers(pa.large_string(), len(texts), buffers)
