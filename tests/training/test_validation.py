"""Validation while training: the best model is saved, and a collapsed latent is reported."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_runs import TEXTS, records, tiny_config

from textvae import TextVAE
from textvae.config import Config
from textvae.data.rows import Row
from textvae.errors import for_command_line
from textvae.evaluation.report import evaluate
from textvae.training.validation import collapse_warning


def test_the_saved_model_is_that_of_the_best_evaluation(tmp_path: Path) -> None:
    out = tmp_path / "run"
    model = TextVAE.train(TEXTS, valid=TEXTS[:20], out=out, config=tiny_config(max_steps=60))
    evaluations = [r for r in records(out) if r["event"] == "valid"]
    best = min(evaluations, key=lambda r: r["nll_elbo"])
    assert model.metrics["step"] == best["step"]
    rec_at_start = next(r for r in evaluations)["rec"]
    assert best["rec"] < rec_at_start  # it has learnt something


@pytest.mark.parametrize("kind", ["vae", "ae", "lm"])
def test_the_curve_ends_where_the_evaluation_of_the_model_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr("textvae.training.validation.MONITORED_SENTENCES", 17)
    monkeypatch.setattr("textvae.training.validation.BATCH", 6)
    monkeypatch.setattr("textvae.training.validation.PIECE", 10)
    config = tiny_config(model=kind, seed=3, max_steps=10)
    model = TextVAE.train(TEXTS, valid=["", *TEXTS[::4]], out=tmp_path / "run", config=config)
    rows = [Row(text) for text in TEXTS[::4]]
    report = evaluate(model.model, model.tokenizer, rows, samples=1, seed=3, limit=17)
    watched = {key: value for key, value in model.metrics.items() if key in report}
    assert len(watched) == {"vae": 6, "ae": 1, "lm": 1}[kind]
    assert {key: report[key] for key in watched} == pytest.approx(watched, rel=1e-4)


@pytest.mark.parametrize(
    ("figures", "weight", "warns"),
    [
        ({"z_gain": 0.01, "kl": 0.1}, 1.0, True),
        ({"z_gain": 0.01, "kl": 0.1}, 0.2, False),  # still annealing
        ({"z_gain": 6.0, "kl": 8.0}, 1.0, False),
        ({"z_gain": 0.01}, 1.0, False),  # an autoencoder
        ({"nll_iw": 30.0}, 1.0, False),  # a language model
    ],
)
def test_collapse_is_said_once_the_kl_counts(
    figures: dict[str, float], weight: float, warns: bool
) -> None:
    warning = collapse_warning(figures, weight, 1.0, Config())
    assert (warning is not None) == warns


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ({}, "--free-bits 0.5, --word-dropout 0.3 or a smaller --beta"),
        ({"free_bits": 2.0}, "--free-bits 4, "),  # more than there is already
        ({"importance_samples": 5, "free_bits": 0.0}, "Try --word-dropout"),  # it has no KL
        ({"target_kl": 2.0}, "a larger --target-kl"),
        ({"word_dropout": 0.3}, "--word-dropout 0.6 or"),
        ({"word_dropout": 0.8}, "--free-bits 0.5 or a smaller --beta"),
        ({"committed_rate": 8.0}, "Try --word-dropout 0.3 or a smaller --beta"),
    ],
)
def test_the_advice_against_collapse_can_be_followed(
    options: dict[str, float], advice: str
) -> None:
    figures = {"z_gain": 0.0, "kl": 0.0}
    config = Config.resolve(options=options)
    with for_command_line():
        assert advice in str(collapse_warning(figures, 1.0, 1.0, config))
    assert "--" not in str(collapse_warning(figures, 1.0, 1.0, config))
