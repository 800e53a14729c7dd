"""A direction's file: what was found comes back, and nothing else is let in."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from textvae.errors import ModelFormatError, NotFoundError
from textvae.latent.direction_file import Direction

DESCRIPTION = {
    "format": "textvae-direction", "format_version": 1, "method": "mean", "n_start": 3, "n_end": 4,
    "separation": 0.5, "fingerprint": "0123",
}  # fmt: skip


def file_of(description: object = None, **tensors: np.ndarray) -> bytes:
    """A direction's file with some things other than they should be."""
    arrays = {"vector": np.ones(3)} | tensors
    content = b"".join(np.asarray(arrays[name]).tobytes() for name in sorted(arrays))
    digest = {"sha256": hashlib.sha256(content).hexdigest()}
    text = json.dumps(DESCRIPTION | digest | (description or {}))  # type: ignore[operator]
    return save(arrays, metadata={"textvae": text})


def test_a_file_gives_back_the_direction(tmp_path: Path) -> None:
    vector = np.random.default_rng(0).normal(size=5)
    direction = Direction(vector, "linear", 10, 12, 0.75, "0123")
    direction.save(tmp_path / "d.safetensors")
    found = Direction.load(tmp_path / "d.safetensors")
    np.testing.assert_array_equal(found.vector, vector)
    rest = [{k: v for k, v in vars(one).items() if k != "vector"} for one in (direction, found)]
    assert rest[0] == rest[1]


def test_the_file_that_the_refused_ones_differ_from_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "d.safetensors"
    path.write_bytes(file_of())
    assert Direction.load(path).vector.tolist() == [1, 1, 1]
    for none in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(NotFoundError):
            Direction.load(none)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not a direction"),
        (file_of()[:-1], "not a direction"),
        (save({"vector": np.ones(3)}), "no description"),
        (file_of({"format": "textvae-classifier"}), "its format is 'textvae-classifier'"),
        (file_of({"format_version": 2}), "newer textvae"),
        (file_of({"method": "median"}), "mean or linear"),
        (file_of({"method": ["mean"]}), "mean or linear"),
        (file_of({"n_start": True}), "wrong type"),
        (file_of({"n_end": 0}), "wrong type"),
        (file_of({"separation": None}), "wrong type"),
        (file_of({"separation": 1.5}), "wrong type"),
        (file_of({"fingerprint": 5}), "wrong type"),
        (file_of({"sha256": "0"}), "damaged"),
        (file_of(vector=np.ones((3, 1))), "holds vector"),
        (file_of(vector=np.ones(())), "holds vector"),
        (file_of(other=np.ones(3)), "holds other"),
        (file_of(vector=np.ones(3, dtype=np.float32)), "float64"),
        (file_of(vector=np.full(3, np.inf)), "finite"),
    ],
)
def test_what_is_no_direction_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "d.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelFormatError, match=reason) as caught:
        Direction.load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
