"""`textvae.api.compare`: several models by name or as objects, on the same sentences."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from textvae.api import TextVAE, compare
from textvae.errors import UsageError


def test_the_report_is_that_of_the_command(
    textvae, tiny_vae: Path, tiny_ae: Path, tiny_lm: Path, corpus: Path
) -> None:
    models = (tiny_lm, tiny_vae, tiny_ae)
    common = ("--samples", 3, "--limit", 20, "--seed", 5, "--device", "cpu", "--json")
    ran = textvae("compare", *models, "--on", corpus, *common)
    settings = {"samples": 3, "limit": 20, "seed": 5, "device": "cpu"}
    found = compare(models, corpus, **settings)
    assert json.loads(json.dumps(found.to_dict())) == ran.rows[0]
    loaded = [TextVAE.from_pretrained(model, device="cpu") for model in models]
    assert compare(iter(loaded), corpus.read_text().splitlines(), **settings) == found
    assert found.differences[0].figures["nll_iw"] == pytest.approx(
        found.models[1].figures["nll_iw"] - found.models[0].figures["nll_iw"]
    )


def test_one_model_twice_or_none_is_refused(tiny_vae: Path) -> None:
    vae = TextVAE.from_pretrained(tiny_vae)
    for models in ([tiny_vae, f"{tiny_vae}/"], [vae, tiny_vae], []):
        with pytest.raises(UsageError):
            compare(models, ["us !"], samples=2)
