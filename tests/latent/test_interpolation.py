"""Paths between latent vectors: ends, speed and length, in numpy and torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from textvae.errors import UsageError
from textvae.latent.interpolation import fractions, interpolate


def ends(*shape: int, dtype: type = np.float64) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    a, b = generator.normal(size=(2, *shape))
    return a.astype(dtype), (3 * b).astype(dtype)


@pytest.mark.parametrize("method", ["linear", "slerp"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_both_ends_are_met_exactly(method: str, dtype: type) -> None:
    a, b = ends(50, 8, dtype=dtype)
    path = interpolate(a, b, 7, method=method)
    assert path.shape == (7, 50, 8)
    assert path.dtype == dtype
    assert (path[0] == a).all()
    assert (path[-1] == b).all()


def test_linear_points_are_weighted_means() -> None:
    a, b = ends(8)
    path = interpolate(a, b, 5, method="linear")
    np.testing.assert_allclose(path[2], (a + b) / 2, rtol=1e-12)
    np.testing.assert_allclose(path[1], 0.75 * a + 0.25 * b, rtol=1e-12)


def test_slerp_turns_at_constant_speed_and_its_length_is_linear() -> None:
    a, b = ends(8)
    path = interpolate(a, b, 9, method="slerp")
    lengths = np.linalg.norm(path, axis=1)
    np.testing.assert_allclose(lengths, np.linspace(lengths[0], lengths[-1], 9), rtol=1e-12)
    units = path / lengths[:, None]
    turns = np.arccos((units[1:] * units[:-1]).sum(1))
    whole = np.arccos(units[0] @ units[-1])
    np.testing.assert_allclose(turns, whole / 8, rtol=1e-9)


def test_slerp_of_a_quarter_circle_by_hand() -> None:
    path = interpolate(np.array([2.0, 0.0]), np.array([0.0, 2.0]), 3)
    np.testing.assert_allclose(path[1], [2**0.5, 2**0.5], rtol=1e-12)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ([1.0, 2.0], [2.0, 4.0]),
        ([1.0, 2.0], [1.0, 2.0]),
        ([1.0, 2.0], [-2.0, -4.0]),
        ([0.0, 0.0], [1.0, 2.0]),
        ([0.0, 0.0], [0.0, 0.0]),
    ],
)
def test_slerp_is_the_line_where_there_is_no_one_circle(a: list[float], b: list[float]) -> None:
    line = interpolate(np.array(a), np.array(b), 5, method="linear")
    np.testing.assert_allclose(interpolate(np.array(a), np.array(b), 5), line, atol=1e-12)


def test_one_vector_without_a_circle_leaves_the_others_their_own() -> None:
    a, b = ends(3, 4)
    a[1] = 0.0
    path = interpolate(a, b, 5)
    for row in range(3):
        np.testing.assert_allclose(path[:, row], interpolate(a[row], b[row], 5), rtol=1e-12)


def test_torch_and_numpy_agree() -> None:
    a, b = ends(6, 4, dtype=np.float32)
    path = interpolate(torch.from_numpy(a), torch.from_numpy(b), 5)
    assert isinstance(path, torch.Tensor)
    assert (path.numpy() == interpolate(a, b, 5)).all()


def test_fractions_reach_from_zero_to_one() -> None:
    assert fractions(5) == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert fractions(2) == [0.0, 1.0]


def test_paths_that_make_no_sense_are_refused() -> None:
    a, b = ends(4)
    with pytest.raises(UsageError, match="steps 1 must be 2 to 10,000"):
        interpolate(a, b, 1)
    with pytest.raises(UsageError, match="unknown method 'cubic': choose from linear, slerp"):
        interpolate(a, b, 3, method="cubic")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"shapes \(4,\) and \(3,\)"):
        interpolate(a, b[:3], 3)
