"""A linear classifier of sentence vectors, and its file: tensors and JSON, no code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from textvae.classification.linear import Linear, fit
from textvae.classification.probes import moments
from textvae.errors import DataError, ModelFormatError, shown, worded
from textvae.files import described_tensors
from textvae.files.atomic import replacing
from textvae.files.described_tensors import FileKind, Shape
from textvae.files.home import home_path
from textvae.models.sentence import Layer

KIND = FileKind(
    format="textvae-classifier",
    version=1,
    noun="classifier",
    origin="classifier of textvae probe",
    example="c.safetensors",
)
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
        facts = {
            "classes": self.classes,
            "layer": self.layer,
            "normalize": self.normalize,
            "fingerprint": self.fingerprint,
        }
        names = _shapes(len(self.classes), len(self.mean))
        return described_tensors.content(KIND, facts, {name: getattr(self, name) for name in names})


def train_classifier(
    vectors: NDArray[np.floating],
    labels: NDArray[np.intp],
    classes: Sequence[str],
    *,
    layer: Layer,
    normalize: bool,
    fingerprint: str,
    seed: int = 0,
    strength: float | None = None,
) -> SentenceClassifier:
    """The classifier trained on vectors (N, D); `labels` (N,) are indices into `classes`."""
    mean, scale = moments(vectors)
    linear = fit((vectors - mean) / scale, labels, seed=seed, strength=strength)
    known = tuple(classes[place] for place in linear.classes)
    return SentenceClassifier(
        known, linear.weights, linear.bias, mean, scale, layer, normalize, fingerprint
    )


def read_classifier(path: Path, *, vector_size: Mapping[Layer, int]) -> SentenceClassifier:
    """The classifier in a file; its sizes are checked before its numbers are read.

    Args:
        vector_size: D of each layer of the model that it will be used with; the classifier may
            read the first dimensions only.

    Raises:
        NotFoundError: no such file.
        ModelFormatError: it is damaged, inconsistent, or not a classifier.
        DataError: the model's vectors have other dimensions.
    """

    def check(described: dict[str, Any], shapes: dict[str, Shape]) -> dict[str, Shape]:
        facts = _facts(path, described)
        K, D = len(facts["classes"]), (shapes.get("mean") or (0,))[0]
        expected = _shapes(K, max(D, 1))
        if shapes == expected and (size := vector_size[facts["layer"]]) < D:
            raise DataError(
                f"{path}: expects vectors of {D} dimensions, but this model's have {size}: "
                "it belongs to another model"
            )
        return expected

    writes = worded("textvae probe --save", "probe(...).fit_classifier().save(path)")
    described, tensors = described_tensors.read(path, KIND, check, writes=writes)
    if not (tensors["scale"] > 0).all():
        raise ModelFormatError(f"{path}: a scale is not above 0")
    found: dict[str, Any] = {**_facts(path, described), **tensors}
    return SentenceClassifier(**found)


def _shapes(K: int, D: int) -> dict[str, Shape]:  # noqa: N803
    return {"bias": (K,), "mean": (D,), "scale": (D,), "weights": (K, D)}


def _facts(path: Path, described: Mapping[str, Any]) -> dict[str, Any]:
    """Classes, layer, normalize and fingerprint.

    Raises:
        ModelFormatError: one is missing or has the wrong type.
    """
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
    }
