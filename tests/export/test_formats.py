"""The writers of the formats: exact, streaming, and all or nothing."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet
from vector_files import FORMATS, read_file

from textvae.data.opening import Row
from textvae.export import formats
from textvae.export.formats import write_table
from textvae.export.table import Block, Extent, VectorTable

ROWS = [Row('a "quoted", one', "x"), Row(""), Row("naïve 日本")]
VECTORS = np.array([[0.1, -2.5e-8], [1 / 3, 3.0], [7.0, 1e10]], dtype=np.float32)


def table(n: int) -> VectorTable:
    """The first rows, one a block."""
    extent = Extent()
    rows = list(extent.watch(iter(ROWS[:n])))

    def block(i: int, j: int) -> Block:
        texts, labels = [row.text for row in rows[i:j]], [row.label for row in rows[i:j]]
        return Block(i, texts, labels, VECTORS[i:j])

    return VectorTable(extent, lambda: (block(i, i + 1) for i in range(n)), block(0, 0))


@pytest.mark.parametrize("suffix", FORMATS)
def test_vectors_come_back_exactly_from_each_format(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"vectors{suffix}"
    write_table(path, table(3))
    found = read_file(path)
    assert found.vectors.dtype == np.float32
    np.testing.assert_array_equal(found.vectors, VECTORS)
    assert found.texts in (None, [row.text for row in ROWS])
    assert found.labels in (None, [row.label or "" for row in ROWS])
    assert list(tmp_path.iterdir()) == [path]


def test_no_row_makes_a_file_of_the_right_width(tmp_path: Path) -> None:
    for suffix in FORMATS:
        write_table(tmp_path / f"v{suffix}", table(0))
    assert np.load(tmp_path / "v.npy").shape == (0, 2)
    assert read_file(tmp_path / "v.npz").texts == []
    assert read_file(tmp_path / "v.safetensors").vectors.shape == (0, 2)
    assert parquet.read_schema(tmp_path / "v.parquet").field("vector").type.list_size == 2
    assert (tmp_path / "v.csv").read_text() == "index,text,label,z0,z1\n"
    assert (tmp_path / "v.jsonl").read_text() == ""


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.filterwarnings("error")
def test_a_failure_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"vectors{suffix}"
    path.write_bytes(b"old")

    def failing() -> Iterator[Block]:
        yield next(table(3).blocks())
        raise ZeroDivisionError

    whole = table(3)
    with pytest.raises(ZeroDivisionError):
        write_table(path, VectorTable(whole.extent, failing, whole.pattern))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_json_has_null_for_what_is_not_finite_and_the_shortest_decimals() -> None:
    values = np.array([[np.nan, -np.inf, -0.0, 0.1, 1e-7, 2.0]], dtype=np.float32)
    (line,) = formats.json_lines(Block(3, ['a "b"\n'], [None], values))
    assert json.loads(line) == {
        **{"index": 3, "text": 'a "b"\n', "label": None},
        "vector": [None, None, 0, 0.1, 1e-7, 2],
    }


@pytest.mark.parametrize("suffix", FORMATS)
def test_memory_holds_a_few_parts_whatever_the_number_of_rows(tmp_path: Path, suffix: str) -> None:
    n, rows, width = 9_000, 200, 64
    random = np.random.default_rng(0)

    def blocks() -> Iterator[Block]:
        for start in range(0, n, rows):
            values = random.normal(size=(rows, width)).astype(np.float32)
            yield Block(start, ["some text"] * rows, [None] * rows, values)

    extent = Extent(n, len("some text"))
    pattern = Block(0, [], [], np.empty((0, width), dtype=np.float32))
    path = tmp_path / f"warm{suffix}"
    write_table(path, VectorTable(Extent(rows, 9), lambda: iter([next(blocks())]), pattern))
    held, most_held = pyarrow.total_allocated_bytes(), 0

    def watched() -> Iterator[Block]:
        nonlocal most_held
        for block in blocks():
            yield block
            most_held = max(most_held, pyarrow.total_allocated_bytes() - held)

    tracemalloc.start()
    try:
        write_table(path, VectorTable(extent, watched, pattern))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    whole = 4 * n * width
    assert pyarrow.total_allocated_bytes() - held < whole / 3
    assert most_held < whole / 3
    assert peak < whole / 3
