"""The direction of an attribute in the latent space of a model, and its file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
from numpy.typing import NDArray

from textvae.errors import ModelFormatError, shown, worded
from textvae.files import described_tensors
from textvae.files.atomic import replacing
from textvae.files.described_tensors import FileKind, Shape
from textvae.files.home import home_path
from textvae.latent.directions import DirectionMethod

KIND = FileKind(
    format="textvae-direction",
    version=1,
    noun="direction",
    origin="direction of textvae attribute",
    example="d.safetensors",
)
_METHODS = get_args(DirectionMethod)


@dataclass(frozen=True, eq=False)  # arrays have no single truth value
class Direction:
    """The vector from sentences without an attribute to sentences with the attribute.

    >>> direction = Direction(np.ones(2), "mean", 3, 4, 1.0, "0123")
    >>> direction.to_bytes()[8:24]
    b'{"__metadata__":'

    Args:
        vector: (Z,); strength 1 adds this vector once.
        method: `mean` or `linear`, as in `TextVAE.direction`.
        n_start, n_end: how many sentences of each set.
        separation: how well the direction tells these sentences apart; 0.5 is chance. See
            `textvae.latent.directions.separation`.
        fingerprint: of the model that makes its vectors.
    """

    vector: NDArray[np.float64]
    method: DirectionMethod
    n_start: int
    n_end: int
    separation: float
    fingerprint: str

    def save(self, path: str | Path) -> None:
        """Write the file that `load` reads, completely or not at all."""
        with replacing(home_path(path)) as file:
            file.write(self.to_bytes())

    def to_bytes(self) -> bytes:
        """The content of the file: safetensors, with everything else as JSON in its metadata."""
        facts = {name: value for name, value in vars(self).items() if name != "vector"}
        return described_tensors.content(KIND, facts, {"vector": self.vector})

    @classmethod
    def load(cls, path: str | Path) -> Direction:
        """The direction in a file.

        Raises:
            NotFoundError: no such file.
            ModelFormatError: the file is damaged, or not a direction.
        """
        place = home_path(path)

        def check(described: dict[str, Any], shapes: dict[str, Shape]) -> dict[str, Shape]:
            _facts(place, described)
            return {"vector": ((shapes.get("vector") or (0,))[0],)}

        writes = worded("textvae attribute --save", "vae.direction(...).save(path)")
        described, tensors = described_tensors.read(place, KIND, check, writes=writes)
        return cls(tensors["vector"], **_facts(place, described))


def _facts(path: Path, described: Mapping[str, Any]) -> dict[str, Any]:
    """All of a direction but the vector.

    Raises:
        ModelFormatError: a value is missing or has the wrong type.
    """
    method, fingerprint = described.get("method"), described.get("fingerprint")
    if method not in _METHODS:
        raise ModelFormatError(f"{path}: method {shown(method)}; expected {' or '.join(_METHODS)}")
    numbers = {name: described.get(name) for name in ("n_start", "n_end")}
    separation = described.get("separation")
    if (
        not isinstance(fingerprint, str)
        or not all(type(n) is int and n > 0 for n in numbers.values())
        or not isinstance(separation, float)
        or not 0 <= separation <= 1
    ):
        raise ModelFormatError(
            f"{path}: n_start, n_end, separation or fingerprint is missing or has the wrong type"
        )
    method = cast(DirectionMethod, method)
    return {"method": method, **numbers, "separation": separation, "fingerprint": fingerprint}
