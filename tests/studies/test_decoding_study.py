"""The study of decoding: its rows are the figures of `evaluate`, and of the grammar."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from textvae import TextVAE

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "studies"))
import decoding  # noqa: E402


def test_a_row_holds_the_figures_of_evaluate(tiny_vae: Path) -> None:
    vae = TextVAE.from_pretrained(tiny_vae, device="cpu")
    test = str(ROOT / "data" / "everyday" / "test.jsonl")
    found = decoding.judged(vae, test, {"top_p": 0.5}, samples=6, lm=None)
    assert found["quality_decoding"] == "sample, top_p 0.5"
    assert found["grammatical"] == 0
    drawn = vae.generate(6, top_p=0.5)
    assert found["different"] == len(set(drawn)) / 6
    expected = vae.evaluate(test, samples=1, limit=6, quality=6, decoding={"top_p": 0.5}).figures
    assert found["distinct_2"] == expected["distinct_2"]
    assert found["self_bleu"] == pytest.approx(expected["self_bleu"])


def test_the_table_ends_with_real_sentences() -> None:
    reports = {"greedy": {"self_bleu": 20.123, "self_bleu_real": 17.0, "different": 1.0}}
    lines = decoding.table(reports).splitlines()
    assert [cell.strip() for cell in lines[2].strip("|").split("|")] == ["greedy", "1", "20.1"]
    assert [cell.strip() for cell in lines[3].strip("|").split("|")] == [
        "real sentences",
        "-",
        "17",
    ]
