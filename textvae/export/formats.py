"""The formats of vector files: a streaming writer for each."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import numpy as np

from textvae.data.arrow import from_numpy, strings
from textvae.errors import UsageError, is_utf8, option, shown, worded
from textvae.export.table import ArrayStream, Block, Extent, VectorTable
from textvae.files.atomic import replacing
from textvae.files.destination import check_folder

if TYPE_CHECKING:
    import pyarrow
    from numpy.typing import NDArray

NEEDS_QUOTES = frozenset('",\r\n')
PIECE = 32 << 20  # bytes of an array of texts that are held at once
LARGEST_TEXTS = 1 << 30  # bytes of an array of texts, all of the width of the longest


def check_destination(
    path: Path, *inputs: str, scales: bool = False, variances: bool = False
) -> None:
    """Raise before the work if the file cannot be written.

    Raises:
        UsageError: the name does not end in a known format, or in one that cannot hold scales or
            variances; it is not valid UTF-8; or the file is one of the `inputs`.
        NotFoundError: the folder does not exist.
    """
    suffix = path.suffix.lower()
    if suffix not in WRITERS:
        raise UsageError(f"{option('out', path)}: the name must end in {', '.join(WRITERS)}")
    if scales and suffix not in WITH_CONSTANTS:
        raise UsageError(
            f"{option('quantize', 'int8')}: a {suffix} file has no place for the scales; use "
            f"{', '.join(WITH_CONSTANTS)}"
        )
    if variances and suffix == ".npy":
        raise UsageError(
            f"{option('with_variance', True)}: a {suffix} file holds one array; use "
            f"{', '.join(s for s in WRITERS if s != suffix)}"
        )
    if not is_utf8(str(path)):  # which pyarrow does not open
        raise UsageError(
            f"{worded('--out ', 'out=')}{shown(str(path))}: not valid UTF-8; choose another name"
        )
    check_folder(path, *inputs)


def check_extent(path: Path, extent: Extent) -> None:
    """Raise UsageError if the format would lose part of a text, or take excessive space."""
    if path.suffix.lower() == ".npz" and extent.ends_in_nul:
        raise UsageError(
            f"{option('out', path)}: a text or label ends in a NUL character, which .npz files "
            "lose; use .parquet"
        )
    longest = max(extent.longest_text, extent.longest_label)
    size = 4 * longest * extent.n
    if path.suffix.lower() == ".npz" and size > LARGEST_TEXTS:
        raise UsageError(
            f"{option('out', path)}: in an .npz file each text takes as much space as the longest, "
            f"here {extent.n:,} times {longest:,} characters, {size / 2**30:,.1f} GiB; use .parquet"
        )


def without_place(path: Path, extent: Extent) -> str:
    """The columns that the format cannot hold: `texts`, `texts and labels`, or nothing."""
    suffix = path.suffix.lower()
    if suffix in WITH_TEXTS or not extent.n:
        return ""
    labels = extent.longest_label and not (suffix == ".safetensors" and extent.classes)
    return "texts and labels" if labels else "texts"


def write_table(path: Path, table: VectorTable) -> None:
    """Write the file in the format that its name ends in; after an error, `path` is unchanged."""
    with replacing(path) as file:
        WRITERS[path.suffix.lower()](file, table)


# the formats


def write_npy(file: IO[bytes], table: VectorTable) -> None:
    """`.npy`: the vectors alone."""
    table.arrays()[0].write_npy(file)


def write_npz(file: IO[bytes], table: VectorTable) -> None:
    """`.npz`: arrays vectors, texts, labels if there are any (an empty string for none), ..."""
    import zipfile

    import numpy as np

    def strings(
        name: str, longest: int, of: Callable[[Block], Sequence[str | None]]
    ) -> ArrayStream:
        dtype = np.dtype(f"<U{max(longest, 1)}")

        def pieces() -> Iterator[NDArray[np.str_]]:
            at_once = max(1, PIECE // dtype.itemsize)
            for block in table.blocks():
                texts = [text or "" for text in of(block)]
                for first in range(0, len(texts), at_once):
                    yield np.array(texts[first : first + at_once], dtype=dtype)

        return ArrayStream(name, dtype, (extent.n,), pieces)

    extent = table.extent
    arrays = [*table.arrays(), strings("texts", extent.longest_text, lambda block: block.texts)]
    if extent.longest_label:
        arrays.append(strings("labels", extent.longest_label, lambda block: block.labels))
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for array in arrays:
            # A member opened by its name gets a fixed date: the same vectors, the same bytes.
            with archive.open(f"{array.name}.npy", "w", force_zip64=True) as member:
                array.write_npy(member)


def write_csv(file: IO[bytes], table: VectorTable) -> None:
    """`.csv`: columns index, text, label, z0 ... (bytes of bits: b0 ...), v0 ...; RFC 4180."""
    import numpy as np

    vectors, variances = table.pattern.vectors, table.pattern.variances
    letter = "b" if vectors.dtype == np.uint8 else "z"
    names = [f"{letter}{i}" for i in range(vectors.shape[1])]
    if variances is not None:
        names += [f"v{i}" for i in range(variances.shape[1])]
    file.write((",".join(["index", "text", "label", *names]) + "\r\n").encode())
    for block in table.blocks():
        numbers = [decimals(block.vectors, ",")]
        if block.variances is not None:
            numbers.append(decimals(block.variances, ","))
        texts, labels = map(csv_field, block.texts), map(csv_field, block.labels)
        rows = zip(map(str, block.indices), texts, labels, *numbers, strict=True)
        file.writelines(f"{','.join(row)}\r\n".encode() for row in rows)


def csv_field(value: str | None) -> str:
    """A field of a CSV record, in quotation marks if needed. RFC 4180, section 2."""
    if value is None:
        return ""
    if NEEDS_QUOTES.isdisjoint(value):
        return value
    return '"' + value.replace('"', '""') + '"'


def write_jsonl(file: IO[bytes], table: VectorTable) -> None:
    """`.jsonl`: an object a line."""
    for block in table.blocks():
        file.writelines(f"{line}\n".encode() for line in json_lines(block))


def json_lines(block: Block) -> Iterator[str]:
    """A JSON object for each row: index, text, label, vector and, if computed, variance.

    Numbers have the shortest decimals that give the same float32; null stands for NaN and infinity.
    """
    vectors = decimals(block.vectors, ", ", nonfinite="null")
    if block.variances is not None:
        variances = decimals(block.variances, ", ", nonfinite="null")
        vectors = [f'{v}], "variance": [{s}' for v, s in zip(vectors, variances, strict=True)]
    for index, text, label, vector in zip(
        block.indices, block.texts, block.labels, vectors, strict=True
    ):
        # Not with json: writing floats one by one takes longer than computing the vectors.
        text, label = (json.dumps(value, ensure_ascii=False) for value in (text, label))
        yield f'{{"index": {index}, "text": {text}, "label": {label}, "vector": [{vector}]}}'


def decimals(values: NDArray[Any], separator: str, *, nonfinite: str | None = None) -> list[str]:
    """Each row of numbers (N, D) as one string; `nonfinite` replaces NaN and infinity."""
    import pyarrow
    from pyarrow import compute

    rows, columns = values.shape
    flat = from_numpy((values + values.dtype.type(0)).ravel())  # + 0 leaves no "-0", an integer
    words = flat.cast(pyarrow.string())
    if nonfinite is not None and values.dtype.kind == "f":
        words = compute.if_else(compute.is_finite(flat), words, strings([nonfinite])[0])
    ends = from_numpy(columns * np.arange(rows + 1, dtype=np.int32))
    lists = pyarrow.ListArray.from_arrays(ends, words)
    joined = compute.binary_join(lists, strings([separator])[0])
    return cast("list[str]", joined.to_pylist())


def write_parquet(file: IO[bytes], table: VectorTable) -> None:
    """`.parquet`: columns index, text, label, vector, variance; a row group for each block.

    The metadata of the schema describe the vectors and hold their scales, as JSON under `textvae`.
    """
    from pyarrow import parquet

    constants = {name: array.tolist() for name, array in table.constants.items()}
    schema = parquet_schema(table.pattern, {"textvae": json.dumps({**table.facts, **constants})})
    # Numbers rarely repeat: a dictionary of them would cost time and save nothing.
    with parquet.ParquetWriter(file, schema, use_dictionary=["label"]) as writer:
        for block in table.blocks():
            writer.write_table(parquet_table(block, schema))


def parquet_schema(pattern: Block, metadata: Mapping[str, str]) -> pyarrow.Schema:
    """The columns of a block; a vector is a list of fixed length, which viewers expect."""
    import pyarrow

    def lists(array: NDArray[Any]) -> pyarrow.DataType:
        return pyarrow.list_(pyarrow.from_numpy_dtype(array.dtype), array.shape[1])

    text = pyarrow.string()
    fields = {"index": pyarrow.int64(), "text": text, "label": text}
    fields["vector"] = lists(pattern.vectors)
    if pattern.variances is not None:
        fields["variance"] = lists(pattern.variances)
    return pyarrow.schema(list(fields.items()), metadata)


def parquet_table(block: Block, schema: pyarrow.Schema) -> pyarrow.Table:
    """The rows of a block as a table with this schema."""
    import pyarrow

    columns = [
        from_numpy(np.asarray(block.indices, dtype=np.int64)),
        strings(block.texts),
        strings(block.labels),
    ]
    for array in (block.vectors, block.variances):
        if array is not None:
            flat = from_numpy(array.ravel())
            columns.append(pyarrow.FixedSizeListArray.from_arrays(flat, array.shape[1]))
    return pyarrow.Table.from_arrays(columns, schema=schema)


def write_safetensors(file: IO[bytes], table: VectorTable) -> None:
    """`.safetensors`: tensors vectors, variances, labels, ...; the format cannot hold texts.

    Labels are indices into the list `classes` of the metadata, -1 for none.
    """
    import numpy as np

    arrays, facts = table.arrays(), dict(table.facts)
    if classes := table.extent.classes:
        facts["classes"] = classes
        places: dict[str | None, int] = {name: place for place, name in enumerate(classes)}

        def labels() -> Iterator[NDArray[np.int64]]:
            for block in table.blocks():
                yield np.array([places.get(label, -1) for label in block.labels], dtype=np.int64)

        arrays.append(ArrayStream("labels", np.dtype(np.int64), (table.extent.n,), labels))
    # The widest types first, as safetensors itself does, so that each tensor is aligned.
    arrays.sort(key=lambda array: -array.dtype.itemsize)
    header: dict[str, Any] = {"__metadata__": {"textvae": json.dumps(facts)}}
    end = 0
    for array in arrays:
        start, end = end, end + array.size
        kind = SAFETENSORS_TYPES[array.dtype.name]
        header[array.name] = {"dtype": kind, "shape": array.shape, "data_offsets": [start, end]}
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)
    file.write(len(encoded).to_bytes(8, "little") + encoded)
    for array in arrays:
        array.write_values(file)


SAFETENSORS_TYPES = {"float32": "F32", "int64": "I64", "int8": "I8", "uint8": "U8"}
WRITERS: dict[str, Callable[[IO[bytes], VectorTable], None]] = {
    ".npy": write_npy,
    ".npz": write_npz,
    ".csv": write_csv,
    ".jsonl": write_jsonl,
    ".parquet": write_parquet,
    ".safetensors": write_safetensors,
}
WITH_CONSTANTS = (".npz", ".parquet", ".safetensors")  # formats that can hold scales
WITH_TEXTS = (".npz", ".csv", ".jsonl", ".parquet")  # formats that can hold texts and labels
