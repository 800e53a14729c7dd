"""`TextVAE.traverse` and `TextVAE.units`: walks along units, and what units say of sentences."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from textvae.api import Row, TextVAE
from textvae.errors import DataError, NotFoundError, TextVAEWarning, UsageError
from textvae.models.prior import StandardNormal


@pytest.fixture(scope="module")
def vae(fluent_vae: Path) -> TextVAE:
    return TextVAE.from_pretrained(fluent_vae, device="cpu")


@pytest.fixture(scope="module")
def ae(tiny_ae: Path) -> TextVAE:
    return TextVAE.from_pretrained(tiny_ae, device="cpu")


def verbs(sentences: list[str]) -> list[str | None]:
    return [text.split()[2] if text.split()[2].endswith("s") else None for text in sentences]


def test_a_walk_moves_one_unit_and_leaves_the_others(vae: TextVAE, sentences: list[str]) -> None:
    text = sentences[3]
    (walk,) = vae.traverse(text, unit=[2], steps=4, reference=sentences)
    z = np.repeat(vae.encode([text]), 4, axis=0)
    z[:, 2] = [step.value for step in walk.steps]
    assert [step.text for step in walk.steps] == vae.decode(z)
    assert len({step.text for step in walk.steps}) > 1
    quantiles = [step.quantile for step in walk.steps]
    assert quantiles == pytest.approx([0.01, 0.219, 0.781, 0.99], abs=1e-3)
    samples = np.concatenate([vae.embed([one], sample_seed=0, first=place).vectors
                              for place, one in enumerate(sentences)])  # fmt: skip
    expected = np.quantile(samples[:, 2], quantiles)
    assert [step.value for step in walk.steps] == pytest.approx(expected, abs=1e-4)


def test_without_a_reference_the_values_are_quantiles_of_the_prior(vae: TextVAE) -> None:
    walks = vae.traverse(units=4, steps=3)
    for walk in walks:
        assert [step.value for step in walk.steps] == pytest.approx([-2.326, 0, 2.326], abs=0.15)
    middle = vae.traverse(unit=[1], steps=3)[0].steps[1]
    assert vae.traverse(unit=1, steps=3)[0].steps[1] == middle
    z = np.zeros((1, 4))
    z[0, 1] = middle.value
    assert [middle.text] == vae.decode(z)


def test_units_come_in_the_order_of_their_kl_which_adds_up_to_that_of_evaluate(
    vae: TextVAE, sentences: list[str]
) -> None:
    walks = vae.traverse(units=9, reference=sentences)  # more than the model has: all four
    kl = [walk.kl for walk in walks]
    assert kl == sorted(kl, reverse=True)
    assert sorted(walk.unit for walk in walks) == [0, 1, 2, 3]
    figures = vae.evaluate(sentences, samples=1).figures
    assert sum(kl) == pytest.approx(figures["kl"], rel=1e-4)
    report = vae.units(sentences)
    assert [(unit.unit, unit.kl) for unit in report.units] == [(w.unit, w.kl) for w in walks]
    assert vae.traverse(reference=sentences, units=2) == walks[:2]


def test_the_units_of_an_autoencoder_come_by_variance(ae: TextVAE, sentences: list[str]) -> None:
    codes = ae.encode(sentences)
    report = ae.units(sentences)
    assert [unit.kl for unit in report.units] == [None] * 4
    assert [unit.unit for unit in report.units] == np.argsort(-codes.var(0)).tolist()
    assert "kl" not in report.to_dict()["units"][0]
    (walk,) = ae.traverse(unit=[0], steps=3)
    z = np.repeat(ae.model.prior.mean.numpy()[None], 3, axis=0)
    z[:, 0] = [step.value for step in walk.steps]
    assert [step.text for step in walk.steps] == ae.decode(z)
    assert "kl" not in next(walk.rows())


def test_the_report_finds_the_words_and_the_factor_that_a_unit_stands_for(
    vae: TextVAE, sentences: list[str]
) -> None:
    """Labels that are made of a unit itself are found in this unit."""
    column = vae.encode(sentences)[:, 3]
    high = ["high" if value > np.median(column) else "low" for value in column]
    verb = verbs(sentences)
    report = vae.units(sentences, factors={"side": high, "verb": verb}, words=2)
    units = {unit.unit: unit for unit in report.units}
    assert units[3].information["side"] == pytest.approx(math.log(2), rel=0.05)
    assert units[3].accuracy["side"] > 0.85
    assert max(units, key=lambda one: units[one].information["side"]) == 3
    side, verb_figures = report.factors
    assert (side.classes, side.n_labelled, side.majority) == (2, 150, 0.5)
    assert verb_figures.n_labelled == sum(one is not None for one in verb)
    assert side.completeness > 0.8
    assert all(len(unit.rising) <= 2 for unit in report.units)
    assert report.mig == pytest.approx((side.mig + verb_figures.mig) / 2)
    alone = vae.units(sentences, factors={"side": high}, unit=[3])
    assert [unit.unit for unit in alone.units] == [3]
    assert alone.disentanglement is None
    assert "disentanglement" not in alone.to_dict()


def test_a_file_and_rows_give_the_same_report(
    vae: TextVAE, sentences: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "labelled.jsonl"
    labels = ["a" if "soup" in text or "rain" in text else "b" for text in sentences]
    first = [text.split()[0] for text in sentences]
    records = [{"text": text, "label": label, "first": word}
               for text, label, word in zip(sentences, labels, first, strict=True)]  # fmt: skip
    path.write_text("\n".join(map(json.dumps, records)))
    rows = [Row(text, label) for text, label in zip(sentences, labels, strict=True)]
    assert vae.units(path).to_dict() == vae.units(rows).to_dict()
    from_file = vae.units(path, factors=["label", "first"])
    in_memory = vae.units(sentences, factors={"label": labels, "first": first})
    assert from_file.to_dict() == in_memory.to_dict()


def test_blank_lines_are_left_out_as_in_evaluate(vae: TextVAE, sentences: list[str]) -> None:
    blank = [*sentences[:70], " ", *sentences[70:], ""]
    first = [text.split()[0] if text.strip() else None for text in blank]
    with pytest.warns(TextVAEWarning, match="skipped 2 blank lines"):
        report = vae.units(blank, factors={"first": first})
    spoken = {"first": [one for one in first if one]}
    assert report.to_dict() == vae.units(sentences, factors=spoken).to_dict()
    figures = vae.evaluate(blank, samples=1).figures
    assert sum(unit.kl or 0 for unit in report.units) == pytest.approx(figures["kl"], rel=1e-4)
    with pytest.warns(TextVAEWarning, match="skipped 2 blank lines"):
        walks = vae.traverse(reference=blank, units=2)
    assert walks == vae.traverse(reference=sentences, units=2)


def test_quantiles_of_few_sentences_are_warned_of(vae: TextVAE, sentences: list[str]) -> None:
    with pytest.warns(TextVAEWarning, match="9 sentences; quantiles of 1% and 99%"):
        vae.traverse(reference=sentences[:9], units=1)


def test_the_other_units_stay_at_the_mean_of_a_prior_of_ones_own(fluent_vae: Path) -> None:
    class Shifted(StandardNormal):
        def sample(self, noise: torch.Tensor) -> torch.Tensor:
            return noise + 3

    vae = TextVAE.from_pretrained(fluent_vae, device="cpu")
    vae.model.prior = Shifted(4)
    (walk,) = vae.traverse(unit=[0], steps=3)
    z = np.full((3, 4), 3.0)
    z[:, 0] = [step.value for step in walk.steps]
    assert z[1, 0] == pytest.approx(3, abs=0.1)
    assert [step.text for step in walk.steps] == vae.decode(z)


def test_requests_that_cannot_be_are_refused(
    vae: TextVAE, tiny_lm: Path, sentences: list[str], corpus: Path
) -> None:
    for unit in ([4], [-1], [1.5], []):
        with pytest.raises(UsageError, match="the units are 0 to 3"):
            vae.traverse(unit=unit)
        with pytest.raises(UsageError, match="the units are 0 to 3"):
            vae.units(sentences, unit=unit)
    with pytest.raises(UsageError, match="leave out one"):
        vae.traverse(unit=[1], units=2)
    with pytest.raises(DataError, match="no sentences"):
        vae.traverse(reference=[])
    with pytest.raises(DataError, match="50 or more"):
        vae.units(sentences[:49])
    with pytest.raises(UsageError, match="no columns"):
        vae.units(sentences, factors=["topic"])
    with pytest.raises(UsageError, match="are columns"):
        vae.units(corpus, factors={"topic": sentences})
    with pytest.raises(DataError, match="2 labels of 'topic' for 150 sentences"):
        vae.units(sentences, factors={"topic": ["a", "b"]})
    with pytest.raises(DataError, match="a classifier needs two"):
        vae.units(sentences, factors={"topic": ["a"] * 150})
    with pytest.raises(DataError, match="no label in column 'topic'"):
        vae.units(corpus, factors=["topic"])
    lm = TextVAE.from_pretrained(tiny_lm, device="cpu")
    for call in (lm.traverse, lambda: lm.units(sentences)):
        with pytest.raises(UsageError, match="no latent"):
            call()


def test_a_column_that_is_not_there_is_named(vae: TextVAE, tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    path.write_text("text\tlabel\n" + "us !\ta\nrain .\tb\n" * 40)
    with pytest.raises(NotFoundError, match=r"no column 'topic'; its columns are text, label"):
        vae.units(path, factors=["label", "topic"])
