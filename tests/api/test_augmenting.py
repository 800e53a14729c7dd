"""Labelled variations: their labels, their differences, and what the classifier rejects."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from textvae import TextVAE
from textvae.api import Row, augmenting, label_variations
from textvae.api.label_variations import LabelVariations
from textvae.classification.classifier import train_classifier
from textvae.classification.probes import codes_of
from textvae.data.writing import letters
from textvae.errors import DataError, UsageError
from textvae.progress import Watcher

VERBS = ("likes", "follows", "finds")


@pytest.fixture(scope="module")
def vae(fluent_vae: Path) -> TextVAE:
    return TextVAE.from_pretrained(fluent_vae)


@pytest.fixture(scope="module")
def rows(sentences: list[str]) -> list[Row]:
    """Some sentences of three verbs, which are their labels."""
    chosen = [text for text in sentences if any(verb in text for verb in VERBS)][::4]
    return [Row(text, next(verb for verb in VERBS if verb in text)) for text in chosen]


@pytest.mark.parametrize("how", ["sample", "interpolate"])
def test_variations_are_new_and_have_the_label_of_their_sentence(
    vae: TextVAE, rows: list[Row], how: label_variations.How
) -> None:
    found = vae.augment(rows, 2, how=how, filtered=False)
    assert found
    for one in found:
        assert (one.source, one.label) == (rows[one.index].text, rows[one.index].label)
    keys = [letters(one.text) for one in found]
    assert len(set(keys)) == len(keys)
    assert not set(keys) & {letters(row.text) for row in rows}


def test_a_classifier_of_the_sentences_agrees_with_what_is_kept(
    vae: TextVAE, rows: list[Row]
) -> None:
    kept = vae.iter_augment(rows, 2)
    found = list(kept)
    classes, codes = codes_of([str(row.label) for row in rows])
    linear = train_classifier(
        vae.encode([row.text for row in rows]),
        codes,
        classes,
        layer="latent",
        normalize=False,
        fingerprint="",
    )
    best = linear.probabilities(vae.encode([one.text for one in found])).argmax(1)
    assert [classes[place] for place in best] == [one.label for one in found]
    assert kept.counts.disagreed > 0
    assert kept.counts.kept == len(found) <= kept.counts.asked == 2 * len(rows)


def test_fewer_copies_are_the_first_of_more(vae: TextVAE, rows: list[Row]) -> None:
    few, many = vae.augment(rows, 1), vae.augment(rows, 2)
    assert few == many[: len(few)]
    assert all(one.copy > 0 for one in many[len(few) :])


def test_no_variation_depends_on_the_chunk(
    vae: TextVAE, rows: list[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    together = vae.augment(rows, 1)
    monkeypatch.setattr(augmenting, "CHUNK", 9)
    monkeypatch.setattr(label_variations, "CHUNK", 9)
    assert vae.augment(rows, 1) == together


@pytest.mark.parametrize("how", ["sample", "interpolate"])
def test_at_scale_0_a_variation_is_the_reconstruction(
    vae: TextVAE, rows: list[Row], how: label_variations.How
) -> None:
    again = vae.reconstruct([row.text for row in rows])
    found = vae.augment(rows, 1, how=how, scale=0, filtered=False)
    assert all(one.text == again[one.index] for one in found)


def test_a_partner_is_any_other_sentence_of_the_class(vae: TextVAE, rows: list[Row]) -> None:
    draws = LabelVariations(
        vae, rows, how="interpolate", scale=1, filtered=False, seed=0, watcher=Watcher()
    )
    labels = np.array([row.label for row in rows])
    for place in range(len(rows)):
        others = np.flatnonzero((labels == labels[place]) & (np.arange(len(rows)) != place))
        evenly = (np.arange(len(others)) + 0.5) / len(others)
        partners = draws._partners(np.full(len(others), place), evenly)
        assert sorted(partners) == others.tolist()


def test_a_class_of_one_sentence_has_no_partner(vae: TextVAE, rows: list[Row]) -> None:
    alone = [*rows, Row("the cook sees rain .", "sees")]
    with pytest.warns(match="1 class has one sentence"):
        found = vae.augment(alone, 1, how="interpolate", filtered=False)
    assert "sees" not in {one.label for one in found}
    assert "sees" in {one.label for one in vae.augment(alone, 3, filtered=False)}


def test_sentences_without_a_label_get_no_variations(vae: TextVAE, rows: list[Row]) -> None:
    with pytest.warns(match="without a label"):
        found = vae.iter_augment([Row("us !"), *rows], 1)
    assert list(found.rows) == rows
    with pytest.raises(DataError, match="no sentence has a label"):
        vae.augment([row.text for row in rows])
    with pytest.raises(DataError, match="a classifier needs two"):
        vae.augment([Row(row.text, "one") for row in rows])
    assert vae.augment([Row(row.text, "one") for row in rows], 1, filtered=False)


def test_an_autoencoder_varies_and_a_language_model_does_not(
    tiny_ae: Path, tiny_lm: Path, rows: list[Row]
) -> None:
    ae = TextVAE.from_pretrained(tiny_ae)
    assert ae.augment(rows, 3, scale=3, filtered=False)
    with pytest.raises(UsageError, match="no latent"):
        TextVAE.from_pretrained(tiny_lm).augment(rows)


@pytest.mark.parametrize(
    "wrong",
    [{"copies": 0}, {"copies": 10_000}, {"how": "mix"}, {"how": "interpolate", "scale": 1.5}],
)
def test_options_out_of_range(vae: TextVAE, rows: list[Row], wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        vae.augment(rows, **wrong)  # type: ignore[arg-type]
