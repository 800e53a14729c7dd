"""A file that could not be read again is not written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from textvae.errors import DataError, TextVAEError
from textvae.files.described_tensors import MOST_NUMBERS, FileKind, content, read

KIND = FileKind("textvae-thing", 1, "thing", "thing of textvae", "t.safetensors")


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path, vector = tmp_path / "t.safetensors", np.arange(3.0)
    path.write_bytes(content(KIND, {"names": ["a"]}, {"vector": vector}))
    described, found = read(path, KIND, lambda _, shapes: shapes, writes="this test")
    assert described["names"] == ["a"]
    np.testing.assert_array_equal(found["vector"], vector)


def test_more_numbers_than_a_file_may_hold_are_refused() -> None:
    many = np.broadcast_to(0.0, (MOST_NUMBERS + (8 << 20),))  # takes no memory
    with pytest.raises(DataError, match=r"a thing of 1,1.*; a file has at most 1,073,741,824"):
        content(KIND, {}, {"vector": many})


@pytest.mark.parametrize(
    ("facts", "vector"),
    [
        ({}, np.array([1.0, np.nan])),
        ({}, np.array([np.inf])),
        ({"names": ["x" * 1000] * 9000}, np.ones(2)),  # a header of more than 8 MiB
    ],
)
def test_what_reading_refuses_is_not_written(facts: dict[str, object], vector: np.ndarray) -> None:
    with pytest.raises(TextVAEError, match=r"not finite|use fewer or shorter names"):
        content(KIND, facts, {"vector": vector})
