"""Maps of vectors: principal components by their definition, t-SNE by what it is for."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from numpy.typing import NDArray

from textvae.errors import DataError, UsageError
from textvae.latent import projection
from textvae.latent.projection import PrincipalComponents, project


def vectors(n: int = 60, d: int = 6, seed: int = 0) -> NDArray[np.float32]:
    """Random vectors with a different variance in each direction."""
    random = np.random.default_rng(seed)
    mixing = random.standard_normal((d, d)) * np.arange(1, d + 1)
    return (random.standard_normal((n, d)) @ mixing + 5).astype(np.float32)


def test_the_points_are_those_of_a_singular_value_decomposition() -> None:
    x = vectors().astype(np.float64)
    u, s, _ = np.linalg.svd(x - x.mean(0), full_matrices=False)
    found = project(x)
    np.testing.assert_allclose(np.abs(found.points), np.abs(u[:, :2] * s[:2]), atol=1e-9)
    np.testing.assert_allclose(found.explained, (s**2 / (s**2).sum())[:2])
    np.testing.assert_allclose(found.place(x), found.points, atol=1e-12)


def test_no_other_plane_keeps_more_of_the_variance() -> None:
    x = vectors().astype(np.float64)
    x -= x.mean(0)
    kept = np.square(project(x).points).sum()
    for seed in range(20):
        axes = np.linalg.qr(np.random.default_rng(seed).standard_normal((6, 2)))[0]
        assert np.square(x @ axes).sum() <= kept


def test_the_map_depends_neither_on_the_order_nor_on_where_the_vectors_lie() -> None:
    x, order = vectors(), np.random.default_rng(1).permutation(60)
    np.testing.assert_allclose(project(x[order]).points, project(x).points[order], atol=1e-4)
    np.testing.assert_allclose(project(x + 3).points, project(x).points, atol=1e-4)
    found = PrincipalComponents.of(x)
    largest = found.axes[np.abs(found.axes).argmax(0), [0, 1]]
    assert (largest > 0).all()
    np.testing.assert_allclose(found.axes.T @ found.axes, np.eye(2), atol=1e-12)


def test_degenerate_vectors_have_a_map() -> None:
    assert project(vectors(1)).points.tolist() == [[0, 0]]
    assert project(np.ones((4, 3))).explained == (0.0, 0.0)
    on_a_line = project(np.arange(5.0)[:, None])  # one dimension
    assert on_a_line.points.tolist() == [[-2, 0], [-1, 0], [0, 0], [1, 0], [2, 0]]


def test_what_cannot_be_mapped_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="no vectors"):
        project(np.empty((0, 3)))
    with pytest.raises(UsageError, match="try pca, tsne, umap"):
        project(vectors(), "lda")  # type: ignore[arg-type]
    monkeypatch.setattr(projection, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'textvae\[umap\]', or method='pca'"):
        project(vectors(), "umap")
    monkeypatch.setattr(projection, "find_spec", lambda name: True)
    with pytest.raises(DataError, match="5 or more distinct vectors, and there are only 1"):
        project(np.ones((9, 3)), "tsne")


@pytest.mark.skipif(importlib.util.find_spec("openTSNE") is None, reason="needs openTSNE")
def test_t_sne_keeps_groups_together_and_repeats_with_its_seed() -> None:
    x, of = vectors(40) * 0.01, np.arange(40) % 2
    x[of == 1] += 9
    done: list[int] = []
    found = project(x, "tsne", seed=3, progress=lambda phase, n, total: done.append(n))
    np.testing.assert_array_equal(project(x, "tsne", seed=3).points, found.points)
    assert done == sorted(done)
    assert done[-1] == 750
    centres = [found.points[of == group].mean(0) for group in (0, 1)]
    spread = max(np.linalg.norm(found.points[of == g] - centres[g], axis=1).max() for g in (0, 1))
    assert np.linalg.norm(centres[0] - centres[1]) > spread
    places = found.place(x[:2])
    assert np.linalg.norm(places - [centres[0], centres[1]], axis=1).max() < 2 * spread
    assert found.explained is None
