"""Rates and distortions at their limits, and the sizes of compressed text."""

from __future__ import annotations

import gzip
import lzma
import math
import sys
from typing import Any

import pytest
import zstandard
from random_models import random_word_model, word_tokenizer

from textvae.data.rows import Row
from textvae.evaluation.byte_coders import compressed_bits, file_of
from textvae.evaluation.compression import Compression, measured_rates
from textvae.evaluation.likelihood import chunks_by_length, codes, log_likelihoods
from textvae.evaluation.report import evaluate
from textvae.latent.codes import fitted_codes

TOKENIZER = word_tokenizer()
TEXTS = ["the cat sees the dog .", "soup .", "the dog", "cat cat cat", "dog sees soup .", "the"]
TRAINING = [f"the {a} sees the {b} ." for a in ("cat", "dog", "soup") for b in ("cat", "dog")] * 40


def report(kind: str, **rest: Any) -> dict[str, Any]:
    model = random_word_model(kind, seed=4)
    fitted = ()
    if model.encoder is not None:
        chunks = chunks_by_length(TOKENIZER.encode(TRAINING[:6]), model)
        fitted = fitted_codes(codes(model, chunks).numpy())
    return evaluate(
        model, TOKENIZER, map(Row, TEXTS), samples=3, compression=Compression(fitted, TRAINING),
        **rest,
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["vae", "ae"])
def test_all_bits_decode_to_the_reconstruction_and_no_bits_to_one_sentence(kind: str) -> None:
    found = report(kind)
    points = {point["code"]: point for point in found["rate_distortion"]}
    whole, mean = points["float32"], points["mean"]
    assert (whole["bits"], mean["bits"]) == (64, 0)
    assert whole["bleu"] == found["bleu"]
    assert whole["exact_match"] == found["exact_match"]
    assert ("sample" in points) == (kind == "vae")
    if kind == "ae":
        assert whole["rec"] == found["rec"]
        assert not {size["coder"] for size in found["lossless"]} & {"nll_iw", "nll_elbo"}
        return
    assert points["sample"]["bits"] == pytest.approx(found["kl"] / math.log(2))
    sizes = {size["coder"]: size for size in found["lossless"]}
    assert sizes["nll_iw"]["bits_per_byte"] == pytest.approx(found["bits_per_byte"])
    assert sizes["nll_elbo"]["bits_per_sentence"] == pytest.approx(found["nll_elbo"] / math.log(2))


def test_the_loss_of_a_point_is_that_of_its_vectors() -> None:
    model = random_word_model("ae", seed=4)
    chunks = chunks_by_length(TOKENIZER.encode(TEXTS), model)
    z = codes(model, chunks)
    fitted = fitted_codes(z.numpy())
    points, n_sentences = measured_rates(model, TOKENIZER, map(Row, TEXTS), fitted)
    assert n_sentences == len(TEXTS)
    rec = {point.code: point.rec for point in points}
    at_mean = -log_likelihoods(model, chunks, z.mean(0).expand_as(z))
    assert rec["mean"] == pytest.approx(at_mean.mean().item(), rel=1e-6)
    # Six points have six centroids, so one byte is enough.
    assert rec["pq-1"] == pytest.approx(rec["float32"], rel=1e-6)


def test_a_language_model_has_an_exact_bound_and_no_rates() -> None:
    found = report("lm")
    assert "rate_distortion" not in found
    assert found["lossless"][0]["coder"] == "nll_iw"
    assert found["lossless"][0]["bits_per_byte"] == pytest.approx(found["bits_per_byte"])


def test_unknown_words_leave_the_model_without_a_bound() -> None:
    model = random_word_model("lm")
    rows = [Row("the cat"), Row("an elephant")]
    found = evaluate(model, TOKENIZER, rows, compression=Compression((), TRAINING))
    assert found["lossless"][0]["coder"] == "gzip"


def test_sizes_are_those_of_the_compressors() -> None:
    content = b"the cat\nthe dog\n"
    assert file_of(["the cat", "the dog"]) == content
    texts = TRAINING[:50]
    found = compressed_bits(texts, TRAINING)
    assert found["gzip"] == 8 * len(gzip.compress(file_of(texts), 9, mtime=0))
    assert found["xz"] == 8 * len(lzma.compress(file_of(texts), preset=9 | lzma.PRESET_EXTREME))
    assert found["xz_after_training"] < found["xz"]  # a copy of what came before
    level = len(zstandard.ZstdCompressor(level=19).compress(file_of(texts)))
    assert 8 * (level - 16) <= found["zstd"] < 8 * level  # a smaller header


def test_a_dictionary_helps_each_sentence() -> None:
    words = [f"{a}{b}" for a in "bcdfghklm" for b in ("olan", "erit", "umsa", "ipto")]
    texts = [" ".join(words[(i * j) % len(words)] for j in range(2, 9)) for i in range(3000)]
    found = compressed_bits(texts[:40], texts)
    assert found["zstd_dictionary"] < found["zstd"]
    assert found["zstd_dictionary"] < found["zstd_each"] < 8 * len(file_of(texts[:40]))


def test_without_zstandard_its_sizes_are_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    found = compressed_bits(["the cat"], TRAINING)
    assert [name for name, bits in found.items() if bits is None] == [
        "zstd",
        "zstd_dictionary",
        "zstd_each",
    ]
