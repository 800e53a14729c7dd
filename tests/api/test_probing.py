"""`TextVAE.probe` and `classify`: the figures and labels of the commands, for rows in memory."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from textvae.api import Row, TextVAE, Watcher
from textvae.classification import linear
from textvae.errors import DataError, UsageError

WATCHER = Watcher(warn=lambda text: None)


@pytest.fixture(autouse=True)
def few_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "FOLDS", 2)
    monkeypatch.setattr(linear, "STRENGTHS", (0.1, 10.0))


@pytest.fixture
def rows(sentences: list[str]) -> list[Row]:
    return [Row(text, "ab"[text.startswith("the dog")]) for text in sentences[::3]]


@pytest.fixture
def table(rows: list[Row], tmp_path: Path) -> Path:
    path = tmp_path / "table.tsv"
    path.write_text("\n".join(["text\tlabel", *(f"{r.text}\t{r.label}" for r in rows)]) + "\n")
    return path


def test_the_report_is_that_of_the_command(
    textvae, tiny_vae: Path, tiny_ae: Path, table: Path, rows: list[Row]
) -> None:
    common = ("--labels", "8,all", "--seeds", 2, "--seed", 3, "--device", "cpu", "--json")
    ran = textvae("probe", tiny_vae, table, table, "--against", tiny_ae, *common)
    vae, ae = (TextVAE.from_pretrained(model, device="cpu") for model in (tiny_vae, tiny_ae))
    settings = {"against": {str(tiny_ae): ae}, "labels": ["all", 8], "seeds": 2, "seed": 3}
    found = vae.probe(table, table, **settings, watcher=WATCHER)
    report = json.loads(json.dumps(found.to_dict()))
    assert report == ran.rows[0]
    assert list(report) == list(ran.rows[0])
    in_memory = vae.probe(rows, rows, **settings, watcher=WATCHER)
    assert in_memory.results == found.results
    assert (in_memory.train, in_memory.test) == ("texts", "texts")


def test_a_classifier_predicts_what_the_command_prints(
    textvae, tiny_vae: Path, table: Path, rows: list[Row], tmp_path: Path
) -> None:
    file = tmp_path / "c.safetensors"
    assert textvae("probe", tiny_vae, table, "--folds", 2, "--save", file).code == 0
    vae = TextVAE.from_pretrained(tiny_vae)
    classifier = vae.probe(rows, folds=2).fit_classifier()
    assert classifier.to_bytes() == file.read_bytes()
    printed = textvae("classify", tiny_vae, file, table, "--json").rows
    for given in (classifier, file):
        assert [one.to_dict() for one in vae.classify(table, given)] == printed
    texts = [row.text for row in rows]
    assert [one.label for one in vae.classify(texts, file)] == [row["label"] for row in printed]


def test_layers_and_strength_give_what_scikit_learn_gives(tiny_vae: Path, rows: list[Row]) -> None:
    vae = TextVAE.from_pretrained(tiny_vae, device="cpu")
    layers = ("latent", "encoder", "both")
    found = vae.probe(rows[:40], rows[40:], labels="all", layer=layers, dimensions=3, strength=0.1)
    texts, labels = [row.text for row in rows], [row.label for row in rows]
    parts = [vae.encode(texts, layer=layer, dimensions=3) for layer in ("latent", "encoder")]
    assert [part.shape[1] for part in parts] == [3, 3]
    for layer, vectors in zip(layers, (*parts, np.concatenate(parts, axis=1)), strict=True):
        scaler = StandardScaler().fit(vectors[:40].astype(np.float64))
        classifier = LogisticRegression(C=0.1, max_iter=1000)
        classifier.fit(scaler.transform(vectors[:40]), labels[:40])
        expected = classifier.score(scaler.transform(vectors[40:]), labels[40:])
        (result,) = (one for one in found.results if one.layer == layer)
        assert result.figures["accuracy"] == pytest.approx(expected)
        assert result.runs[0].strength == 0.1
    baselines = [one for one in found.results if one.layer is None]
    assert len(baselines) == 3  # once, whatever the number of layers
    assert found.layer == "latent"
    assert found.fit_classifier().weights.shape[1] == 3


def test_a_classifier_of_the_first_dimensions_reads_no_others(
    tiny_vae: Path, rows: list[Row], tmp_path: Path
) -> None:
    vae = TextVAE.from_pretrained(tiny_vae, device="cpu")
    classifier = vae.probe(rows, folds=2, dimensions=2).fit_classifier()
    classifier.save(tmp_path / "c.safetensors")
    texts = [row.text for row in rows]
    expected = classifier.probabilities(vae.encode(texts)[:, :2])
    found = vae.classify(texts, tmp_path / "c.safetensors")
    assert [one.probability for one in found] == pytest.approx(expected.max(1).tolist())
    np.testing.assert_array_equal(vae.encode(texts, dimensions=2), vae.encode(texts)[:, :2])
    short = vae.encode(texts, dimensions=2, normalize=True)
    np.testing.assert_allclose(np.linalg.norm(short, axis=1), 1, rtol=1e-5)


def test_a_classifier_of_another_model_is_refused(
    tiny_vae: Path, tiny_ae: Path, rows: list[Row]
) -> None:
    classifier = TextVAE.from_pretrained(tiny_vae).probe(rows, folds=2).fit_classifier()
    with pytest.raises(DataError, match="another model"):
        TextVAE.from_pretrained(tiny_ae).classify(["us !"], classifier)


def test_contradictions_are_typed_errors(tiny_vae: Path, tiny_lm: Path, rows: list[Row]) -> None:
    vae, lm = TextVAE.from_pretrained(tiny_vae), TextVAE.from_pretrained(tiny_lm)
    for error, model, test, settings in (
        (UsageError, vae, None, {}),
        (UsageError, vae, rows, {"folds": 2}),
        (UsageError, vae, rows, {"labels": [0]}),
        (UsageError, vae, rows, {"labels": [10_000]}),
        (UsageError, vae, rows, {"against": {str(tiny_vae): vae}}),
        (UsageError, vae, rows, {"against": {"lm": lm}}),
        (UsageError, vae, rows, {"layer": "middle"}),
        (UsageError, vae, rows, {"layer": []}),
        (UsageError, vae, rows, {"dimensions": 5}),
        (UsageError, vae, rows, {"strength": 0}),
        (UsageError, lm, rows, {}),
        (DataError, vae, [Row("us !")], {}),
    ):
        with pytest.raises(error):
            model.probe(rows, test, **settings)
