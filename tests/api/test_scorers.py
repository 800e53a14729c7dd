"""Language models that judge what another model writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def test_a_scorer_reads_the_beginning_of_what_is_too_long(tiny_lm) -> None:
    """What a model wrote may have more tokens when it is read again."""
    from textvae.api import TextVAE
    from textvae.api.scorers import negated

    lm = TextVAE.from_pretrained(tiny_lm)
    long = "us ! " * lm.max_tokens
    expected = -lm.log_likelihood([long], truncate=True)
    np.testing.assert_array_equal(negated(lm)([long]), expected)


def test_a_scorer_of_the_same_real_sentences_is_trained_once(tiny_lm, monkeypatch) -> None:
    from textvae.api import TextVAE
    from textvae.api.scorers import scorer_trainer

    lm, trained, notes = TextVAE.from_pretrained(tiny_lm), [], []
    monkeypatch.setattr(TextVAE, "train", lambda texts, **_: trained.append(texts) or lm)
    train_scorer = scorer_trainer(lm, TextVAE.train, notes.append)
    real = ["us !"]
    for samples in (["a"], ["b"], ["c"]):
        train_scorer(samples)
        np.testing.assert_array_equal(train_scorer(real)(real), -lm.log_likelihood(real))
    assert trained == [("a",), ("us !",), ("b",), ("c",)]


def test_a_pretrained_scorer_trains_no_others(tiny_lm, monkeypatch) -> None:
    from textvae.api import TextVAE
    from textvae.api.scorers import scorer_trainer
    from textvae.models.pretrained.reference import Reference

    lm, notes = TextVAE.from_pretrained(tiny_lm), []
    monkeypatch.setattr(
        lm.model.decoder, "reference", Reference("weights/llama", Path("weights/llama"))
    )
    assert scorer_trainer(lm, TextVAE.train, notes.append) is None
    assert "ppl_reverse is left out" in notes[0]
