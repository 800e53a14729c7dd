"""A small file of float64 tensors with a description: safetensors and JSON, no code.

What is trained for a model and kept beside the model (a classifier, a direction) is such a file.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from textvae.errors import DataError, ModelFormatError, NotFoundError, shown
from textvae.files.tensor_header import MOST_HEADER, read_header
from textvae.files.untrusted import parse_json, reason

MOST_BYTES = 1 << 30
MOST_NUMBERS = (MOST_BYTES - MOST_HEADER - 8) // 8  # in tensors that fit beside any description

Shape = tuple[int, ...]
Tensors = dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class FileKind:
    """What a file is, for its description and for messages.

    Args:
        format: the name of the format in the description.
        version: the newest version that this program reads.
        noun: `classifier`.
        origin: `classifier of textvae probe`.
        example: a file name, `c.safetensors`.
    """

    format: str
    version: int
    noun: str
    origin: str
    example: str


def content(kind: FileKind, facts: Mapping[str, Any], tensors: Mapping[str, Any]) -> bytes:
    """The bytes of a file: the tensors, and the facts and a checksum as JSON in the metadata.

    Raises:
        DataError: a file that `read` would refuse: too large, or with numbers that are not finite.
    """
    _check_size(kind, 8 * sum(np.size(value) for value in tensors.values()))  # before any copy
    arrays = {name: np.ascontiguousarray(value, np.float64) for name, value in tensors.items()}
    if not all(np.isfinite(value).all() for value in arrays.values()):
        raise DataError(f"the {kind.noun} contains numbers that are not finite, and is not saved")
    description = {"format": kind.format, "format_version": kind.version, **facts}
    description["sha256"] = _digest(arrays)
    written = save(arrays, metadata={"textvae": json.dumps(description)})
    if (length := int.from_bytes(written[:8], "little")) > MOST_HEADER:
        raise DataError(
            f"the description of this {kind.noun} takes {length:,} bytes; a file has at most "
            f"{MOST_HEADER:,}: use fewer or shorter names"
        )
    _check_size(kind, len(written))
    return written


def read(
    path: Path,
    kind: FileKind,
    check: Callable[[dict[str, Any], dict[str, Shape]], dict[str, Shape]],
    *,
    writes: str,
) -> tuple[dict[str, Any], Tensors]:
    """The description and the tensors of a file.

    Args:
        check: gets the description and the shapes before any number is read; returns the shapes
            that the description demands, and raises where the description is invalid.
        writes: the call that writes such files, for messages.

    Raises:
        NotFoundError: no such file.
        ModelFormatError: the file is damaged, inconsistent, or of another kind.
    """
    _check_place(path, kind, writes)
    try:
        read_header(path)  # stricter than safetensors
        with safe_open(path, framework="numpy") as file:
            described = _description(path, kind, (file.metadata() or {}).get("textvae", ""))
            found = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            shapes = {name: tuple(part.get_shape()) for name, part in found.items()}
            expected = check(described, shapes)
            if shapes != expected:
                raise ModelFormatError(
                    f"{path}: holds {_shown(shapes)}; this {kind.noun} holds {_shown(expected)}"
                )
            if wrong := [n for n, part in found.items() if part.get_dtype() != "F64"]:
                raise ModelFormatError(f"{path}: {wrong[0]} is not of float64")
            tensors = {name: file.get_tensor(name) for name in found}
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelFormatError(f"{path}: not a {kind.origin}: {reason(error)}") from None
    if not all(np.isfinite(value).all() for value in tensors.values()):
        raise ModelFormatError(f"{path}: contains numbers that are not finite")
    if _digest(tensors) != described.get("sha256"):
        raise ModelFormatError(f"{path}: damaged: its numbers do not match their checksum")
    return described, tensors


def _check_size(kind: FileKind, size: int) -> None:
    if size > MOST_BYTES:
        raise DataError(f"a {kind.noun} of {size:,} bytes; a file has at most {MOST_BYTES:,}")


def _check_place(path: Path, kind: FileKind, writes: str) -> None:
    if os.path.isdir(path):
        raise NotFoundError(f"{path} is a folder; a {kind.noun} is a file, such as {kind.example}")
    if not os.path.isfile(path):  # false also for a name that is too long
        raise NotFoundError(f"{path}: no such file; {writes} writes {kind.noun}s")
    if path.stat().st_size > MOST_BYTES:
        raise ModelFormatError(
            f"{path}: {path.stat().st_size:,} bytes, a {kind.noun} has at most {MOST_BYTES:,}"
        )


def _description(path: Path, kind: FileKind, text: str) -> dict[str, Any]:
    """The description, of this format and of a version that this program reads."""
    try:
        described = parse_json(text)
    except ValueError:
        described = None
    if not isinstance(described, dict):
        raise ModelFormatError(f"{path}: not a {kind.origin}: it has no description")
    if described.get("format") != kind.format:
        own = shown(described.get("format"))
        raise ModelFormatError(f"{path}: not a {kind.origin}: its format is {own}")
    version = described.get("format_version")
    if type(version) is not int or not 1 <= version <= kind.version:
        raise ModelFormatError(
            f"{path}: format {shown(version)}, this program reads up to {kind.version}; "
            "install a newer textvae"
        )
    return described


def _digest(tensors: Mapping[str, NDArray[np.float64]]) -> str:
    """SHA-256 of the tensors, in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(tensors[name].astype("<f8").tobytes())
    return digest.hexdigest()


def _shown(shapes: Mapping[str, Shape]) -> str:
    return ", ".join(f"{name[:80]} {shapes[name]}" for name in sorted(shapes)[:8]) or "no tensor"
