"""A linear classifier of sentence vectors, and its file: tensors and JSON, no code."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from textvae.classification.linear import Linear, fit
from textvae.classification.probes import moments
from textvae.errors import DataError, ModelFormatError, NotFoundError, shown, worded
from textvae.files.atomic import replacing
from textvae.files.home import home_path
from textvae.files.tensor_header import read_header
from textvae.files.untrusted import parse_json, reason
from textvae.models.sentence import Layer

FORMAT = "textvae-classifier"
FORMAT_VERSION = 1
_MAX_BYTES = 1 << 30
_LAYERS = get_args(Layer)


@dataclass(frozen=True)
class SentenceClassifier:
    """p(label given vector) = softmax(weights (vector - mean) / scale + bias).

    Args:
        classes: the K labels, all distinct.
        weights: (K, D).
        bias: (K,).
        mean, scale: mean and standard deviation of each dimension in training, (D,).
        layer, normalize: the arguments of `TextVAE.encode` that give its vectors.
        fingerprint: of the model that makes its vectors.
    """

    classes: tuple[str, ...]
    weights: NDArray[np.float64]
    bias: NDArray[np.float64]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    layer: Layer
    normalize: bool
    fingerprint: str

    def probabilities(self, vectors: NDArray[np.floating]) -> NDArray[np.float64]:
        """p(class given vector) for vectors (N, D), in the order of `classes`, (N, K)."""
        standardised = (vectors - self.mean) / self.scale
        linear = Linear(np.arange(len(self.classes)), self.weights, self.bias)
        return np.exp(linear.log_probabilities(standardised))

    def save(self, path: str | Path) -> None:
        """Write the file that `read_classifier` reads, completely or not at all."""
        with replacing(home_path(path)) as file:
            file.write(self.to_bytes())

    def to_bytes(self) -> bytes:
        """The content of the file: safetensors, with everything else as JSON in its metadata."""
        description = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "classes": self.classes,
            "layer": self.layer,
            "normalize": self.normalize,
            "fingerprint": self.fingerprint,
        }
        tensors = {
            name: np.ascontiguousarray(getattr(self, name), dtype=np.float64)
            for name in _shapes(len(self.classes), len(self.mean))
        }
        description["sha256"] = _digest(tensors)
        return save(tensors, metadata={"textvae": json.dumps(description)})


def train_classifier(
    vectors: NDArray[np.floating],
    labels: NDArray[np.intp],
    classes: Sequence[str],
    *,
    layer: Layer,
    normalize: bool,
    fingerprint: str,
    seed: int = 0,
) -> SentenceClassifier:
    """The classifier trained on vectors (N, D); `labels` (N,) are indices into `classes`."""
    mean, scale = moments(vectors)
    linear = fit((vectors - mean) / scale, labels, seed=seed)
    known = tuple(classes[place] for place in linear.classes)
    return SentenceClassifier(
        known, linear.weights, linear.bias, mean, scale, layer, normalize, fingerprint
    )


def read_classifier(path: Path, *, vector_size: Mapping[Layer, int]) -> SentenceClassifier:
    """The classifier in a file; its sizes are checked before its numbers are read.

    Args:
        vector_size: D of each layer of the model that it will be used with.

    Raises:
        NotFoundError: no such file.
        ModelFormatError: it is damaged, inconsistent, or not a classifier.
        DataError: the model's vectors have other dimensions.
    """
    if os.path.isdir(path):
        raise NotFoundError(f"{path} is a folder; a classifier is a file, such as c.safetensors")
    if not os.path.isfile(path):  # false also for a name that is too long
        raise NotFoundError(
            f"{path}: no such file; "
            f"{worded('textvae probe --save', 'probe(...).fit_classifier().save(path)')} writes "
            "classifiers"
        )
    if path.stat().st_size > _MAX_BYTES:
        raise ModelFormatError(
            f"{path}: {path.stat().st_size:,} bytes, a classifier has at most {_MAX_BYTES:,}"
        )
    try:
        read_header(path)  # stricter than safetensors
        with safe_open(path, framework="numpy") as file:
            described = _description(path, (file.metadata() or {}).get("textvae", ""))
            digest = described.pop("sha256")
            found = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            shapes = {name: tuple(part.get_shape()) for name, part in found.items()}
            K, D = len(described["classes"]), (shapes.get("mean") or (0,))[0]
            if D < 1 or shapes != _shapes(K, D):
                raise ModelFormatError(
                    f"{path}: holds {_shown(shapes)}; a classifier of {K} classes holds "
                    f"{_shown(_shapes(K, max(D, 1)))}"
                )
            if wrong := [n for n, part in found.items() if part.get_dtype() != "F64"]:
                raise ModelFormatError(f"{path}: {wrong[0]} is not of float64")
            size = vector_size[described["layer"]]
            if size != D:
                raise DataError(
                    f"{path}: expects vectors of {D} dimensions, but this model's have {size}: "
                    "it belongs to another model"
                )
            tensors = {name: file.get_tensor(name) for name in found}
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelFormatError(
            f"{path}: not a classifier of textvae probe: {reason(error)}"
        ) from None
    if not all(np.isfinite(value).all() for value in tensors.values()):
        raise ModelFormatError(f"{path}: contains numbers that are not finite")
    if not (tensors["scale"] > 0).all():
        raise ModelFormatError(f"{path}: a scale is not above 0")
    if _digest(tensors) != digest:
        raise ModelFormatError(f"{path}: damaged: its numbers do not match their checksum")
    return SentenceClassifier(**described, **tensors)


def _shapes(K: int, D: int) -> dict[str, tuple[int, ...]]:  # noqa: N803
    return {"bias": (K,), "mean": (D,), "scale": (D,), "weights": (K, D)}


def _digest(tensors: Mapping[str, NDArray[np.float64]]) -> str:
    """SHA-256 of the tensors, in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(tensors[name].astype("<f8").tobytes())
    return digest.hexdigest()


def _shown(shapes: dict[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name[:80]} {shapes[name]}" for name in sorted(shapes)[:8]) or "no tensor"


def _description(path: Path, text: str) -> dict[str, Any]:
    """Classes, layer, normalize, fingerprint and digest.

    Raises:
        ModelFormatError: one is missing or has the wrong type.
    """
    try:
        described = parse_json(text)
    except ValueError:
        described = None
    if not isinstance(described, dict) or described.get("format") != FORMAT:
        raise ModelFormatError(f"{path}: not a classifier of textvae probe: it has no description")
    version = described.get("format_version")
    if type(version) is not int or not 1 <= version <= FORMAT_VERSION:
        raise ModelFormatError(
            f"{path}: format {shown(version)}, this program reads up to {FORMAT_VERSION}; "
            "install a newer textvae"
        )
    classes, layer = described.get("classes"), described.get("layer")
    if (
        not isinstance(classes, list)
        or not classes
        or not all(isinstance(name, str) for name in classes)
        or len(set(classes)) != len(classes)
    ):
        raise ModelFormatError(f"{path}: its classes are not a list of distinct strings")
    if layer not in _LAYERS:
        raise ModelFormatError(f"{path}: layer {shown(layer)}; expected {' or '.join(_LAYERS)}")
    normalize, fingerprint = described.get("normalize"), described.get("fingerprint")
    if not isinstance(normalize, bool) or not isinstance(fingerprint, str):
        raise ModelFormatError(f"{path}: normalize or fingerprint is missing or has the wrong type")
    return {
        "classes": tuple(classes),
        "layer": layer,
        "normalize": normalize,
        "fingerprint": fingerprint,
        "sha256": described.get("sha256"),
    }
