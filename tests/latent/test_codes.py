"""Codes of vectors: their bits, their errors, and the references of brute force."""

from __future__ import annotations

import numpy as np
import pytest

from textvae.errors import DataError
from textvae.latent.codes import ProductCode, fitted_codes, product_code, sign_code, squared_error


def vectors(n: int = 600, dimensions: int = 8) -> np.ndarray:
    random = np.random.default_rng(0)
    mixed = random.normal(size=(n, dimensions)) @ random.normal(size=(dimensions, dimensions))
    return (mixed + 0.5).astype(np.float32)


def test_each_code_has_the_bits_of_its_name() -> None:
    codes = fitted_codes(vectors())
    bits = {code.name: code.bits for code in codes}
    assert bits == {"mean": 0, "pq-1": 8, "binary": 8, "pq-2": 16, "pq-4": 32, "int8": 64,
                    "float32": 256}  # fmt: skip
    assert list(bits.values()) == sorted(bits.values())
    for code in codes:  # not more distinct vectors than the bits can tell apart
        assert len(np.unique(code.approximate(vectors()), axis=0)) <= 2.0 ** min(code.bits, 60)


def test_float32_has_no_error_and_the_mean_has_the_variance() -> None:
    x = vectors()
    error = {code.name: squared_error(code, x) for code in fitted_codes(x)}
    assert error["float32"] == 0
    assert error["mean"] == pytest.approx(x.var(0).sum(), rel=1e-5)
    assert error["mean"] > error["pq-1"] > error["pq-2"] > error["pq-4"] > error["int8"] > 0
    assert error["binary"] < error["mean"]


def test_a_product_code_takes_the_nearest_centroid_of_each_part() -> None:
    random = np.random.default_rng(1)
    code = ProductCode(
        (
            random.normal(size=(5, 3)).astype(np.float32),
            random.normal(size=(4, 2)).astype(np.float32),
        )
    )
    assert (code.name, code.bits) == ("pq-2", 3 + 2)
    x = random.normal(size=(50, 5)).astype(np.float32)
    numbers = code.encode(x)
    for row, found in zip(x, numbers, strict=True):
        for part, own, number in zip((row[:3], row[3:]), code.centroids, found, strict=True):
            assert np.linalg.norm(own - part, axis=1).argmin() == number
    np.testing.assert_array_equal(code.encode(code.decode(numbers)), numbers)
    np.testing.assert_array_equal(code.approximate(x), code.decode(numbers))


def test_few_distinct_values_are_their_own_centroids() -> None:
    x = np.repeat(np.eye(4, dtype=np.float32), 30, axis=0)
    code = product_code(x, 2)
    assert code.bits == 2 * 2  # three halves each: (1, 0), (0, 1), (0, 0)
    np.testing.assert_array_equal(code.approximate(x), x)


def test_signs_stand_for_the_mean_of_their_side() -> None:
    x = np.array([[1, -2], [3, -4], [-5, -6]], dtype=np.float32)
    code = sign_code(x)
    np.testing.assert_array_equal(
        code.approximate(x), np.array([[2, -4], [2, -4], [-5, -4]], dtype=np.float32)
    )
    # No other values for the two signs have a smaller error (Lloyd 1982).
    random = vectors()
    best = sign_code(random)
    for shift in (-0.1, 0.1):
        other = type(best)(best.below, best.above + np.float32(shift))
        assert squared_error(other, random) > squared_error(best, random)


def test_the_same_seed_gives_the_same_code_and_no_vector_gives_none() -> None:
    a, b = (product_code(vectors(), 2, seed=5) for _ in range(2))
    np.testing.assert_array_equal(a.approximate(vectors()), b.approximate(vectors()))
    with pytest.raises(DataError, match="no vectors to fit codes to"):
        fitted_codes(np.empty((0, 4), dtype=np.float32))
