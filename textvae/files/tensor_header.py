"""The header of a safetensors file, looked at before anything of the size it claims is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textvae.errors import shown
from textvae.files.untrusted import parse_json

MOST_HEADER = 8 << 20  # bytes; the deepest of our models has half a million
MOST_AXES = 8
_METADATA = "__metadata__"


@dataclass(frozen=True)
class TensorFacts:
    """What a header says of a tensor."""

    dtype: str
    shape: list[int]


def read_header(path: Path) -> dict[str, TensorFacts]:
    """The tensors of a safetensors file by name; that the data fit is checked by who reads them.

    Raises:
        OSError: it cannot be read.
        ValueError: it has no header, a huge one, or one in which a name stands twice: of two
            readers one could take the first tensor, the other the second.
    """
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > MOST_HEADER:
            raise ValueError(f"no header of at most {MOST_HEADER:,} bytes")
        content = file.read(length)
    if len(content) < max(length, 2):
        raise ValueError("the header is cut off")
    header = parse_json(content.decode("utf-8"))
    if not isinstance(header, dict):
        raise ValueError("the header is no JSON object")
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
        raise ValueError(f"the header describes {shown(name)} as {shown(found)}")
    return TensorFacts(dtype, shape)
