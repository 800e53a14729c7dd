"""The judge of models of data/everyday: what the grammar says, and figures of a known model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
sys.path.insert(0, str(SCRIPTS))
import grammatical  # noqa: E402
from make_everyday import attributes, everyday_grammar, inside, log_prob  # noqa: E402


class Parrot:
    """Says sentences of the training text, and gives back what it reads with another last word."""

    latent_size = 2

    def generate(self, n: int, seed: int = 0) -> list[str]:
        return [grammatical.texts("train")[k // 2] for k in range(n)]

    def reconstruct(self, texts: list[str]) -> list[str]:
        return [text if k % 2 else f"{text} again" for k, text in enumerate(texts)]

    def interpolate(self, a: str, b: str, steps: int) -> list[str]:
        return [a, a, a, "soup the", b, b, b][:steps]


def test_figures_of_a_known_model() -> None:
    figures = grammatical.judge(Parrot(), samples=40, pairs=10)  # type: ignore[arg-type]
    assert figures["samples_grammatical"] == figures["samples_copied"] == 1
    assert figures["samples_distinct"] == 20
    for name in ("grammatical", "exact"):
        assert figures[f"reconstructions_{name}"] == 0.5
    for name in ("topic", "sentiment", "tense"):
        assert figures[f"keeps_{name}"] == 0.5
    assert figures["path_grammatical"] == pytest.approx(4 / 5)
    assert figures["path_distinct"] == pytest.approx(3 / 7)
    assert figures["path_largest_step"] >= 1


def test_attributes_are_those_that_were_drawn_and_sum_to_the_probability() -> None:
    grammar = everyday_grammar()
    rows = (SCRIPTS.parent / "data/everyday/test.jsonl").read_text().splitlines()[:300]
    agree = 0
    for row in map(json.loads, rows):
        found = attributes(grammar, row["text"])
        agree += found == (row["topic"], row["sentiment"], row["tense"])
    assert agree / len(rows) > 0.95  # a few sentences can come from two scenes
    assert attributes(grammar, "soup the was cold .") is None
    text = json.loads(rows[0])["text"]
    total = sum(
        rule.probability * inside(grammar, text, rule.symbols[0])
        for rule in grammar.rules["<start>"]
    )
    assert total == pytest.approx(2.718281828459045 ** log_prob(grammar, text))


def test_the_table_has_a_column_for_each_model(
    tiny_vae: Path, tiny_lm: Path, tmp_path: Path
) -> None:
    out = tmp_path / "figures.json"
    options = ["--samples", "4", "--pairs", "2", "--json", str(out)]
    command = [sys.executable, str(SCRIPTS / "grammatical.py"), str(tiny_vae), str(tiny_lm)]
    ran = subprocess.run([*command, *options], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[0].split() == [tiny_vae.name, tiny_lm.name]
    reports = json.loads(out.read_text())
    assert list(reports) == [str(tiny_vae), str(tiny_lm)]
    assert "path_grammatical" not in reports[str(tiny_lm)]
    assert reports[str(tiny_vae)]["samples_grammatical"] == 0
