"""`TextVAE.evaluate`: the figures of the command, for files and for sentences in memory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from textvae.api import Row, TextVAE, Watcher
from textvae.errors import DataError, UsageError


def test_the_report_is_that_of_the_command(textvae, tiny_vae: Path, corpus: Path) -> None:
    common = ("--samples", 3, "--limit", 20, "--seed", 5, "--json")
    ran = textvae("evaluate", tiny_vae, corpus, *common, "--per-sentence", "--device", "cpu")
    vae = TextVAE.from_pretrained(tiny_vae, device="cpu")
    found = vae.evaluate(corpus, samples=3, limit=20, seed=5, per_sentence=True)
    report = json.loads(json.dumps(found.to_dict()))
    assert report == ran.rows[0]
    assert list(report) == list(ran.rows[0])
    assert found.sentences is not None
    assert "sentences" not in found.figures
    in_memory = vae.evaluate(
        corpus.read_text().splitlines(), samples=3, limit=20, seed=5, per_sentence=True
    )
    assert in_memory == found


def test_the_text_is_prepared_as_that_of_the_training(tiny_vae: Path) -> None:
    vae = TextVAE.from_pretrained(tiny_vae, device="cpu")
    texts = ["the dog likes rain .", "my sister likes rain ."]
    vae.config = vae.config.model_copy(
        update={"data": vae.config.data.model_copy(update={"lowercase": True})}
    )
    upper = vae.evaluate([text.upper() for text in texts], samples=2)
    assert upper.figures["rec"] == vae.evaluate(texts, samples=2).figures["rec"]


def test_a_log_prob_of_a_row_gives_the_gap(tiny_vae: Path, sentences: list[str]) -> None:
    rows = [Row(text, log_prob=-5.0) for text in sentences[:10]]
    figures = TextVAE.from_pretrained(tiny_vae).evaluate(rows, samples=2).figures
    assert figures["gap"] == pytest.approx(figures["nll_iw"] - 5)


def test_what_people_should_know_reaches_the_watcher(tiny_ae: Path, tiny_vae: Path) -> None:
    notes: list[str] = []
    warnings: list[str] = []
    phases: set[str] = set()
    watcher = Watcher(notes.append, warnings.append, lambda phase, *_: phases.add(phase))
    texts = ["the dog likes rain .", "the cook " * 20]
    found = TextVAE.from_pretrained(tiny_ae).evaluate(texts, truncate=True, watcher=watcher)
    assert found.why_no_likelihood in notes
    assert warnings == ["1 sentence was too long and truncated"]
    assert "reconstruction" in phases
    with pytest.warns(UserWarning, match="too long and truncated"):
        TextVAE.from_pretrained(tiny_ae).evaluate(texts, truncate=True)


def test_contradictions_are_typed_errors(tiny_vae: Path, tiny_lm: Path) -> None:
    vae, lm = TextVAE.from_pretrained(tiny_vae), TextVAE.from_pretrained(tiny_lm)
    for error, sentences, settings in (
        (UsageError, ["us !"], {"scorer": lm}),
        (UsageError, ["us !"], {"scorer": vae, "quality": 3}),
        (UsageError, {"text": ["us !"]}, {}),
        (DataError, [" "], {}),
        (DataError, ["the cook " * 20], {}),
    ):
        with pytest.raises(error):
            vae.evaluate(sentences, samples=2, **settings)
