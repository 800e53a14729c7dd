"""Folders of format version 1, written by an earlier program, load and compute what they did."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from random_models import random_word_model, word_tokenizer

from textvae import TextVAE
from textvae.config import DataConfig
from textvae.data.opening import open_rows
from textvae.evaluation.report import evaluate
from textvae.saving.folder import save_model
from textvae.saving.identity import fingerprint

FOLDER = Path(__file__).parent / "version_1"
KINDS = ("vae", "ae", "lm", "lstm", "transformer")
TEXTS = (FOLDER / "some.txt").read_text(encoding="utf-8").split("\n")[:4]
EXPECTED: dict[str, dict[str, Any]] = json.loads((FOLDER / "expected.json").read_text())
# Of the vectors of these models, as the earlier program gave them.
FINGERPRINTS = {
    "vae": "6effb2fe387bc5e5e066a1fbf7cac11a",
    "ae": "e0509833c13bce723a27a2c4f33c7ae5",
    "lm": "b76a7a4373a17d6458ff7dce61a529d6",
    "lstm": "14505e26632b60cb22462d202b736f1a",
    "transformer": "5aec1cf0c0fb8eae9c2798dfa0a7aa4a",
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """A model of version 1."""
    return request.param


@pytest.fixture
def model(kind: str) -> TextVAE:
    """The model, loaded."""
    return TextVAE.from_pretrained(FOLDER / kind, device="cpu")


def test_it_is_of_version_1(kind: str) -> None:
    assert json.loads((FOLDER / kind / "config.json").read_text())["format_version"] == 1


def test_it_writes_the_sentences_that_it_wrote(kind: str, model: TextVAE) -> None:
    assert model.generate(6, seed=1, temperature=1) == EXPECTED[kind]["generate"]
    if kind != "lm":
        assert model.reconstruct(TEXTS, greedy=True) == EXPECTED[kind]["reconstruct"]
        assert model.generate(2, near=TEXTS[0], seed=2, temperature=1) == EXPECTED[kind]["near"]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "lm"])
def test_its_vectors_are_what_they_were(kind: str, model: TextVAE) -> None:
    for layer, name in (("latent", "vectors"), ("encoder", "encoder")):
        found = model.encode(TEXTS, layer=layer)  # type: ignore[arg-type]
        np.testing.assert_allclose(found, EXPECTED[kind][name], rtol=1e-5, atol=1e-6)


def test_its_figures_are_what_they_were(kind: str, model: TextVAE) -> None:
    rows = open_rows([str(FOLDER / "some.txt")])
    found = evaluate(model.model, model.tokenizer, rows, samples=20, truncate=True)
    expected = EXPECTED[kind]["evaluate"]
    assert list(found) == list(expected)
    for name, value in expected.items():
        same = value if isinstance(value, str | bool) else pytest.approx(value, rel=1e-4)
        assert found[name] == same, name


def test_a_classifier_that_was_trained_on_it_still_belongs_to_it(kind: str, model: TextVAE) -> None:
    own = fingerprint(model.model, model.encoder_tokenizer, model.config.data)
    assert own == FINGERPRINTS[kind]


def test_saved_again_it_is_of_version_2_and_computes_the_same(
    kind: str, model: TextVAE, tmp_path: Path
) -> None:
    model.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["format_version"] == 2
    again = TextVAE.from_pretrained(tmp_path, device="cpu")
    assert again.generate(6, seed=1, temperature=1) == EXPECTED[kind]["generate"]
    if kind != "lm":
        assert (again.encode(TEXTS) == model.encode(TEXTS)).all()


def test_weights_of_version_2_are_not_taken_for_version_1(tmp_path: Path) -> None:
    """A description of version 1 beside weights of version 2 is no model, whatever their sizes."""
    from textvae.errors import ModelFormatError

    save_model(tmp_path, random_word_model(), word_tokenizer(), DataConfig(max_tokens=8))
    shutil.copy(FOLDER / "vae" / "config.json", tmp_path / "config.json")
    with pytest.raises(ModelFormatError):
        TextVAE.from_pretrained(tmp_path)
