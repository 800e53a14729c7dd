"""The header of a safetensors file, checked before any memory of the claimed size is allocated."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textvae.errors import shown
from textvae.files.untrusted import parse_json

MOST_HEADER = 8 << 20  # bytes; our deepest model has half a million
MOST_AXES = 8
_METADATA = "__metadata__"


@dataclass(frozen=True)
class TensorFacts:
    """The dtype and shape of a tensor, as its header states them."""

    dtype: str
    shape: list[int]


def read_header(path: Path) -> dict[str, TensorFacts]:
    """The tensors of a safetensors file by name; whoever reads the data checks that they fit.

    Raises:
        OSError: the file cannot be read.
        ValueError: the header is missing, too large, or has a duplicate name (two readers could
            then load different tensors).
    """
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > MOST_HEADER:
            raise ValueError(f"the header exceeds {MOST_HEADER:,} bytes")
        content = file.read(length)
    if len(content) < max(length, 2):
        raise ValueError("the header is truncated")
    header = parse_json(content.decode("utf-8"))
    if not isinstance(header, dict):
        raise ValueError("the header is not a JSON object")
    return {name: _facts(name, found) for name, found in header.items() if name != _METADATA}


def _facts(name: str, found: Any) -> TensorFacts:
    dtype = found.get("dtype") if isinstance(found, dict) else None
    shape = found.get("shape") if isinstance(found, dict) else None
    if (
        not isinstance(dtype, str)
        or not isinstance(shape, list)
        or len(shape) > MOST_AXES
        or not all(type(size) is int and 0 <= size < 2**63 for size in shape)
    ):
        raise ValueError(f"the header has an invalid entry for {shown(name)}: {shown(found)}")
    return TensorFacts(dtype, shape)
