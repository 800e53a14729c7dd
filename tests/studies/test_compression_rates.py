"""The study of compression: its figures are those of `evaluate --compression`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from textvae import TextVAE
from textvae.evaluation.byte_coders import file_of

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "studies"))
import compression_rates as compression  # noqa: E402

LIMIT, SAMPLES = 20, 2


def test_the_figures_are_those_of_evaluate(
    tiny_vae: Path,
    tiny_ae: Path,
    tiny_lm: Path,
    corpus: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    table, models = tmp_path / "table.json", [tiny_vae, tiny_ae, tiny_lm]
    given = ["--corpus", "tiny", corpus, *models, "--limit", LIMIT, "--samples", SAMPLES]
    compression.main([str(word) for word in (*given, "--table", table)])
    (found,) = json.loads(table.read_text())["corpora"]
    rows = {row["kind"]: row for row in found["models"]}
    for kind, place in zip(("vae", "ae", "lm"), models, strict=True):
        vae = TextVAE.from_pretrained(place, device="cpu")
        report = vae.evaluate(corpus, samples=SAMPLES, limit=LIMIT, compression=True).figures
        sizes = {size["coder"]: size["bits_per_byte"] for size in report["lossless"]}
        assert rows[kind].get("bits_per_byte", {}) | found["bits_per_byte"] == pytest.approx(sizes)
        assert rows[kind].get("rate_distortion") == report.get("rate_distortion")
    assert set(rows["lm"]["bits_per_byte"]) == {"nll_iw"}
    printed = capsys.readouterr().out
    assert f"| tiny | {tiny_ae.name} | float32 | 128 |" in printed
    assert f"| tiny | {tiny_vae.name} (vae), nll_elbo |" in printed


def test_a_round_trip_gives_the_same_bytes(tiny_lm: Path, sentences: list[str]) -> None:
    texts = [*sentences[:20], "no word of these"]
    found = compression.round_trip(TextVAE.from_pretrained(tiny_lm, device="cpu"), texts)
    assert found["same_bytes"]
    assert (found["n_lines"], found["n_bytes"]) == (21, len(file_of(texts)))
    assert found["bits_per_byte"] == 8 * found["n_compressed"] / found["n_bytes"]


def test_a_corpus_needs_a_model_and_a_training_text_a_corpus() -> None:
    for wrong in (["--corpus", "a", "b"], ["--corpus", "a", "b", "m", "--fit", "c", "text"]):
        with pytest.raises(SystemExit):
            compression.parsed(wrong)
