"""Arrays of NumPy and lists of texts as arrays of Arrow, and back, without a copy of numbers.

The conversions of pyarrow itself import pandas wherever it is installed, which takes longer than
most commands have to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow


def from_numpy(array: NDArray[Any]) -> pyarrow.Array:
    """The numbers (N,) as an array of Arrow."""
    import pyarrow

    array = np.ascontiguousarray(array)
    buffers = [None, pyarrow.py_buffer(array)]
    return pyarrow.Array.from_buffers(pyarrow.from_numpy_dtype(array.dtype), len(array), buffers)


def to_numpy(array: pyarrow.Array) -> NDArray[Any]:
    """The numbers of an array of Arrow without nulls, (N,), as a view."""
    dtype = np.dtype(array.type.to_pandas_dtype())  # a type of NumPy all the same
    if len(array) == 0:
        return np.empty(0, dtype)
    view = np.frombuffer(array.buffers()[1], dtype=dtype)
    return view[array.offset : array.offset + len(array)]


def strings(texts: Sequence[str | None]) -> pyarrow.Array:
    """The texts as strings of Arrow, None as null; together less than 2 GiB."""
    import pyarrow

    if all(text is None for text in texts):
        return pyarrow.nulls(len(texts), pyarrow.string())
    encoded = [b"" if text is None else text.encode() for text in texts]
    offsets = np.zeros(len(texts) + 1, np.int64)
    np.cumsum([len(text) for text in encoded], out=offsets[1:])
    buffers = [pyarrow.py_buffer(offsets.astype(np.int32)), pyarrow.py_buffer(b"".join(encoded))]
    return pyarrow.Array.from_buffers(pyarrow.string(), len(texts), [_present(texts), *buffers])


def numbers(values: Sequence[float | None]) -> pyarrow.Array:
    """The numbers as float64 of Arrow, None as null."""
    import pyarrow

    if all(value is None for value in values):
        return pyarrow.nulls(len(values), pyarrow.float64())
    filled = np.array([0.0 if value is None else value for value in values])
    buffers = [_present(values), pyarrow.py_buffer(filled)]
    return pyarrow.Array.from_buffers(pyarrow.float64(), len(values), buffers)


def _present(values: Sequence[object]) -> pyarrow.Buffer:
    """A bit for each value, 0 for None."""
    import pyarrow

    bits = np.array([value is not None for value in values], dtype=bool)
    return pyarrow.py_buffer(np.packbits(bits, bitorder="little"))
