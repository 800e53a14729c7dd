"""K-means of sentence vectors: groups that are there are found, and judged right."""

from __future__ import annotations

import numpy as np
import pytest
from blobs import blobs
from sklearn.metrics import normalized_mutual_info_score

from textvae.errors import DataError, UsageError
from textvae.latent import clusters
from textvae.latent.clusters import Clusters


@pytest.mark.parametrize("large", [10, 1000])
def test_separate_groups_are_found(monkeypatch: pytest.MonkeyPatch, large: int) -> None:
    """By whole batches and by small ones; the largest first."""
    monkeypatch.setattr(clusters, "LARGE", large)
    vectors, labels = blobs(120)
    found = clusters.cluster(vectors, 3, seed=1)
    np.testing.assert_array_equal(found.of, labels)  # which are numbered by size too
    assert found.sizes == [60, 40, 20]
    for number in range(3):
        np.testing.assert_allclose(found.centres[number], vectors[labels == number].mean(0))
    np.testing.assert_allclose(
        found.distances, np.linalg.norm(vectors - found.centres[labels], axis=1)
    )
    agreement = clusters.agreement(found, [f"label {label}" for label in labels])
    assert agreement is not None
    assert (agreement.purity, agreement.nmi, agreement.n_labelled) == (1, pytest.approx(1), 120)
    assert agreement.majorities == tuple((f"label {number}", 1.0) for number in range(3))


def grouped(*of: int) -> Clusters:
    n = len(of)
    return Clusters(np.array(of), np.zeros((max(of) + 1, 2)), np.arange(n, 0, -1, dtype=float))


def test_purity_is_the_share_of_the_most_frequent_labels() -> None:
    labels = ["a", "a", "b", "b", "c", None, None]
    found = clusters.agreement(grouped(0, 0, 0, 1, 1, 1, 2), labels)
    assert found is not None
    assert found.majorities == (("a", 2 / 3), ("b", 1 / 2), None)
    assert (found.purity, found.n_labelled) == (3 / 5, 5)
    reference = normalized_mutual_info_score(["a", "a", "b", "b", "c"], [0, 0, 0, 1, 1])
    assert found.nmi == pytest.approx(reference)
    assert clusters.agreement(grouped(0, 1), [None, None]) is None


def test_the_nearest_sentences_come_first_and_equal_ones_once() -> None:
    found = grouped(0, 0, 1, 0, 0)  # each nearer than the one before
    texts = ["far", "near", "other", "near", "nearest"]
    assert found.nearest(0, 9, texts) == [4, 3, 0]
    assert found.nearest(0, 1, texts) == [4]
    assert found.nearest(1, 3, texts) == [2]
    assert found.nearest(0, 0, texts) == []


def test_clusters_that_cannot_be_are_refused() -> None:
    vectors = np.repeat(np.eye(3), 4, axis=0)
    assert clusters.cluster(vectors, 3).sizes == [4, 4, 4]
    with pytest.raises(DataError, match="only 3 of 4 clusters"):
        clusters.cluster(vectors, 4)
    with pytest.raises(DataError, match="smaller k"):
        clusters.cluster(vectors, 13)
    with pytest.raises(DataError, match="smaller k"):
        clusters.cluster(vectors[:0], 1)
    with pytest.raises(UsageError, match="1 or more"):
        clusters.cluster(vectors, 0)


def test_unit_vectors_have_length_1_and_zero_stays() -> None:
    np.testing.assert_allclose(clusters.unit(np.array([[3.0, 4], [0, 0]])), [[0.6, 0.8], [0, 0]])
