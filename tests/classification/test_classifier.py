"""A classifier's file: what was trained comes back, and nothing else is let in."""

from __future__ import annotations

import hashlib
import json
import pickle
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from blobs import blobs
from safetensors.numpy import save
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from textvae.classification.classifier import SentenceClassifier, read_classifier, train_classifier
from textvae.classification.linear import chosen_strength
from textvae.errors import DataError, ModelFormatError, NotFoundError

SIZES = {"latent": 3, "encoder": 7}
NAMES = ("ham", "egg\t", "日本")
DESCRIPTION = {
    "format": "textvae-classifier", "format_version": 1, "classes": ["a", "b"], "layer": "latent",
    "normalize": False, "fingerprint": "0123",
}  # fmt: skip
TENSORS = {"weights": (2, 3), "bias": (2,), "mean": (3,), "scale": (3,)}


def trained() -> tuple[SentenceClassifier, np.ndarray, np.ndarray]:
    vectors, labels = blobs(60, spread=6)
    vectors = (vectors * [1, 10, 0.1] + 4).astype(np.float32)
    options: dict[str, Any] = {"layer": "latent", "normalize": True, "fingerprint": "0123"}
    return train_classifier(vectors, labels, NAMES, **options), vectors, labels


def file_of(description: object = None, **tensors: np.ndarray) -> bytes:
    """A classifier's file with some things other than they should be."""
    arrays = {name: np.ones(shape) for name, shape in TENSORS.items()} | tensors
    content = b"".join(np.asarray(arrays[name]).tobytes() for name in sorted(arrays))
    digest = {"sha256": hashlib.sha256(content).hexdigest()}
    text = json.dumps(DESCRIPTION | digest | (description or {}))  # type: ignore[operator]
    return save(arrays, metadata={"textvae": text})


def test_a_file_gives_back_the_classifier(tmp_path: Path) -> None:
    classifier, vectors, _ = trained()
    path = tmp_path / "c.safetensors"
    path.write_bytes(classifier.to_bytes())
    found = read_classifier(path, vector_size=SIZES)
    for name in ("classes", "layer", "normalize", "fingerprint"):
        assert getattr(found, name) == getattr(classifier, name)
    probabilities = found.probabilities(vectors)
    np.testing.assert_array_equal(probabilities, classifier.probabilities(vectors))
    np.testing.assert_allclose(probabilities.sum(1), 1)


def test_a_number_that_is_not_what_was_written_is_found(tmp_path: Path) -> None:
    content = bytearray(trained()[0].to_bytes())
    content[-40] ^= 1
    path = tmp_path / "c.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelFormatError, match="damaged"):
        read_classifier(path, vector_size=SIZES)


def test_it_is_the_pipeline_that_scikit_learn_would_make() -> None:
    classifier, vectors, labels = trained()
    double = vectors.astype(np.float64)
    strength = chosen_strength(StandardScaler().fit_transform(double), labels)
    regression = LogisticRegression(C=strength, max_iter=1000)
    pipeline = make_pipeline(StandardScaler(), regression).fit(double, labels)
    expected = pipeline.predict_proba(double)
    np.testing.assert_allclose(classifier.probabilities(vectors), expected, atol=1e-5)


def test_a_class_that_no_sentence_has_is_none_of_the_classifier() -> None:
    vectors, labels = blobs(30)
    options: dict[str, Any] = {"layer": "latent", "normalize": False, "fingerprint": ""}
    found = train_classifier(vectors, np.minimum(2 * labels, 2), NAMES, **options)
    assert found.classes == ("ham", "日本")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not a classifier"),
        (pickle.dumps({"weights": [1.0]}), "not a classifier"),
        (file_of()[:-1], "not a classifier"),
        (struct.pack("<Q", 2**62) + b"{}", "not a classifier"),
        (file_of().replace(b'"F64"', b'"F32"'), "not a classifier"),
        (save({"x" * 10**5: np.ones(1)}, metadata={"textvae": "1"}), "no description"),
        (file_of().replace(b'"shape":[2,3]', b'"shape":[3,3]'), "not a classifier"),
        (save({"weights": np.ones((2, 3))}), "no description"),
        (save({"weights": np.ones(1)}, metadata={"textvae": "[" * 100_000}), "no description"),
        (file_of({"format": "other"}), "its format is 'other'"),
        (file_of({"format_version": 2}), "newer textvae"),
        (file_of({"format_version": True}), "newer textvae"),
        (file_of({"classes": ["a"]}), r"this classifier holds bias \(1,\)"),
        (file_of({"classes": ["a", "a"]}), "distinct strings"),
        (file_of({"classes": ["a", 1]}), "distinct strings"),
        (file_of({"classes": "ab"}), "distinct strings"),
        (file_of({"layer": "decoder"}), "latent or encoder"),
        (file_of({"layer": ["latent"]}), "latent or encoder"),
        (file_of({"normalize": "no"}), "wrong type"),
        (file_of({"fingerprint": None}), "wrong type"),
        (file_of(weights=np.ones((3, 2))), "weights"),
        (file_of(mean=np.ones(())), "mean"),
        (file_of(extra=np.ones(3)), "extra"),
        (file_of(bias=np.ones(2, dtype=np.float32)), "float64"),
        (file_of(weights=np.full((2, 3), np.nan)), "finite"),
        (file_of(scale=np.zeros(3)), "above 0"),
    ],
)
def test_what_is_no_classifier_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "c.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelFormatError, match=reason) as caught:
        read_classifier(path, vector_size=SIZES)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_files_that_the_refused_ones_differ_from_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    path.write_bytes(file_of())
    assert read_classifier(path, vector_size=SIZES).classes == ("a", "b")
    with pytest.raises(DataError, match="another model"):
        read_classifier(path, vector_size=SIZES | {"latent": 2})
    for none in (tmp_path, tmp_path / ("x" * 5000)):
        with pytest.raises(NotFoundError):
            read_classifier(none, vector_size=SIZES)


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # a hole: no disk is used
    with pytest.raises(ModelFormatError, match="at most"):
        read_classifier(path, vector_size=SIZES)


def test_probabilities_stay_so_far_from_the_training(tmp_path: Path) -> None:
    classifier = replace(trained()[0], weights=np.full((3, 3), 1e200) * [[1], [2], [3]])
    found = classifier.probabilities(np.full((1, 3), 1e3))
    np.testing.assert_array_equal(found, [[0, 0, 1]])
