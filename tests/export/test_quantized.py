"""Vectors of a byte or a bit a dimension."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet
from safetensors import safe_open
from vector_files import FORMATS, read_file

from textvae.export import formats
from textvae.latent.quantization import Int8Map, sign_bits, unpacked_signs


def floats_of(path: Path) -> np.ndarray:
    """The vectors that the codes of a file stand for, by what is documented of the format."""
    match path.suffix:
        case ".npz":
            with np.load(path, allow_pickle=False) as found:
                codes, scales, offsets = (found[k] for k in ("vectors", "scales", "offsets"))
        case ".safetensors":
            with safe_open(path, "numpy") as file:
                names = ("vectors", "scales", "offsets")
                codes, scales, offsets = (file.get_tensor(name) for name in names)
        case _:
            table = parquet.read_table(path)
            codes = np.stack(table["vector"].to_pandas())
            facts = json.loads(table.schema.metadata[b"textvae"])
            scales, offsets = np.float32(facts["scales"]), np.float32(facts["offsets"])
    assert codes.dtype == np.int8
    return scales * codes + offsets


@pytest.mark.parametrize("suffix", formats.WITH_CONSTANTS)
def test_a_byte_a_dimension_errs_by_half_a_scale(
    embeds, tiny_vae: Path, reviews: Path, suffix: str
) -> None:
    exact, out = reviews.with_name("exact.npy"), reviews.with_name(f"v{suffix}")
    assert embeds(tiny_vae, reviews, "--out", exact).code == 0
    assert embeds(tiny_vae, reviews, "--quantize", "int8", "--out", out).code == 0
    whole = np.load(exact)
    half_a_scale = (whole.max(0) - whole.min(0)) / 255 / 2
    assert (abs(floats_of(out) - whole) <= half_a_scale * 1.001).all()


def test_the_codes_of_a_range_use_all_of_it_and_one_value_is_kept_exactly() -> None:
    random = np.random.default_rng(1)
    x = random.normal(size=(500, 3)).astype(np.float32) * [1e-6, 1, 1e6] + [0, 5, -1e6]
    x = np.column_stack([x, np.full(500, 0.3)]).astype(np.float32)
    codes = Int8Map.spanning(x.min(0), x.max(0))
    q = codes.encode(x)
    assert (q[:, :3].min(0) == -128).all()
    assert (q[:, :3].max(0) == 127).all()
    rounding = np.abs(x) * 2.0**-22  # of float32, in the sum
    assert (abs(codes.decode(q) - x) <= codes.scales * 0.5001 + rounding).all()
    np.testing.assert_array_equal(codes.decode(q)[:, 3], x[:, 3])


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_bit_a_dimension_is_the_sign(embeds, tiny_vae: Path, reviews: Path, suffix: str) -> None:
    exact, out = reviews.with_name("exact.npy"), reviews.with_name(f"v{suffix}")
    arguments = (tiny_vae, reviews, "--layer", "encoder")
    assert embeds(*arguments, "--out", exact).code == 0
    assert embeds(*arguments, "--quantize", "binary", "--out", out).code == 0
    bits = read_file(out).vectors.astype(np.uint8)
    assert bits.shape == (24, 2)  # of 16 dimensions
    np.testing.assert_array_equal(unpacked_signs(bits, 16) > 0, np.load(exact) > 0)


def test_bits_beyond_the_last_dimension_are_zero() -> None:
    x = np.random.default_rng(2).normal(size=(20, 11)).astype(np.float32)
    bits = sign_bits(x)
    assert not (bits[:, 1] & 0b11111).any()
    np.testing.assert_array_equal(unpacked_signs(bits, 11), np.sign(x))
