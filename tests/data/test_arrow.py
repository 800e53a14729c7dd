"""Arrow arrays made without pyarrow's own conversions are those that it makes itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from textvae.data.arrow import from_numpy, numbers, strings, to_numpy

TEXTS = [
    [],
    [None, None],
    ["a", "", "größer", "\U0001f600", "a\0b"],
    [None, "x", None, *["y"] * 20, None],
]


@pytest.mark.parametrize("texts", TEXTS)
def test_strings(texts: list[str | None]) -> None:
    found = strings(texts)
    found.validate(full=True)
    assert found.equals(pa.array(texts, pa.string()))


@pytest.mark.parametrize("values", [[], [None], [1.5, None, -2.0, float("inf")], [0.25] * 9])
def test_numbers(values: list[float | None]) -> None:
    found = numbers(values)
    found.validate(full=True)
    assert found.equals(pa.array(values, pa.float64()))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint8"])
def test_arrays_of_numpy_and_back(dtype: str) -> None:
    array = np.arange(20).astype(dtype)
    for given in (array, array[3:7], array[::2], array[:0]):
        arrow = from_numpy(given)
        arrow.validate(full=True)
        assert arrow.equals(pa.array(given))
        np.testing.assert_array_equal(to_numpy(arrow), given)
    np.testing.assert_array_equal(to_numpy(pa.array(array).slice(4, 6)), array[4:10])


def test_vectors_are_written_without_pandas(tiny_vae: Path, corpus: Path, tmp_path: Path) -> None:
    """Its import takes longer than the work of a short file."""
    commands = [["embed", str(tiny_vae), str(corpus), "--json"]]
    for suffix in ("npy", "parquet", "csv"):
        out = str(tmp_path / f"vectors.{suffix}")
        commands.append(["embed", str(tiny_vae), str(corpus), "--out", out])
    code = (
        "import sys; from textvae.cli.main import run\n"
        f"for command in {commands!r}: assert run(command) == 0\n"
        "print('pandas' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "False"
