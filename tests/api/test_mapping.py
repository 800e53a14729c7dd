"""`vae.sentence_map`, `vae.path_on_map` and `vae.unit_kl`: the figures in the pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from textvae.api import Row, TextVAE
from textvae.data import input_rows
from textvae.errors import DataError, TextVAEWarning, UsageError
from textvae.models.prior import Prior


@pytest.fixture(scope="module")
def vae(tiny_vae: Path) -> TextVAE:
    """The tiny VAE."""
    return TextVAE.from_pretrained(tiny_vae, device="cpu")


def test_distances_on_the_map_are_at_most_those_of_the_vectors(
    vae: TextVAE, sentences: list[str]
) -> None:
    found = vae.sentence_map(sentences)
    at = np.array([[point.x, point.y] for point in found.points()])
    z = vae.encode(sentences).astype(np.float64)
    apart = np.linalg.norm(z[:, None] - z, axis=-1)
    assert (np.linalg.norm(at[:, None] - at, axis=-1) <= apart + 1e-6).all()
    assert [point.text for point in found.points()] == sentences


def test_a_limit_draws_the_same_sentences_in_any_order(vae: TextVAE, sentences: list[str]) -> None:
    found = vae.sentence_map(sentences, limit=20)
    turned = vae.sentence_map(sentences[::-1], limit=20)
    assert (found.n_read, len(found.rows)) == (150, 20)
    assert [sentences[point.index] for point in found.points()] == [r.text for r in found.rows]
    assert {row.text for row in found.rows} == {row.text for row in turned.rows}
    assert {r.text for r in vae.sentence_map(sentences, limit=10).rows} < {
        row.text for row in found.rows
    }
    assert len(vae.sentence_map(sentences, limit=None).rows) == 150


def test_clusters_are_those_of_the_vectors(vae: TextVAE, sentences: list[str]) -> None:
    found = vae.sentence_map(sentences, k=4, seed=2)
    clusters = vae.cluster(sentences, 4, seed=2)
    expected = [one.cluster for one in clusters.assignments()]
    assert [point.cluster for point in found.points()] == expected
    names = found.cluster_names()
    assert names == [f"{one.cluster}: {one.nearest[0].text}" for one in clusters.clusters]


@pytest.mark.parametrize("method", ["linear", "slerp"])
def test_a_path_has_the_sentences_of_interpolate_and_ends_at_its_ends(
    vae: TextVAE, sentences: list[str], method: str
) -> None:
    a, b = sentences[3], sentences[140]
    found = vae.path_on_map(sentences, a, b, 5, path=method)
    walked = vae.path(a, b, 5, method=method)
    assert [(step.text, step.t) for step in found.steps] == [(one.text, one.t) for one in walked]
    at = {point.text: (point.x, point.y) for point in found.map.points()}
    ends = np.array([at[a], at[b]])
    places = np.array([(step.x, step.y) for step in found.steps])
    np.testing.assert_allclose(places[[0, -1]], ends, atol=1e-5)
    if method == "linear":  # a straight line stays one on a linear map
        t = np.array([[step.t] for step in found.steps])
        np.testing.assert_allclose(places, (1 - t) * ends[0] + t * ends[1], atol=1e-5)
    even = vae.path_on_map(sentences, a, b, 5, path=method, spacing="latent")
    assert [step.t for step in even.steps] == [0, 0.25, 0.5, 0.75, 1]


def test_the_kl_of_the_units_adds_up_to_that_of_evaluate(
    vae: TextVAE, sentences: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [*sentences, "", " "]
    with pytest.warns(TextVAEWarning, match="texts: skipped 2 blank lines"):
        found = vae.unit_kl(texts)
    report = vae.evaluate(texts, samples=1).figures
    assert found.n_sentences == report["n_sentences"] == 150
    np.testing.assert_allclose(found.kl.sum(), report["kl"], rtol=1e-5)
    assert found.active_units == report["active_units"]
    means = vae.encode(sentences).astype(np.float64)
    np.testing.assert_allclose(found.variance, means.var(0), rtol=1e-5)
    units = found.units()
    assert [unit.kl for unit in units] == sorted(found.kl.tolist(), reverse=True)
    described = {unit.unit: unit.kl for unit in vae.units(sentences).units}
    np.testing.assert_allclose([described[unit.unit] for unit in units], [u.kl for u in units])
    monkeypatch.setattr(input_rows, "CHUNK", 7)
    np.testing.assert_allclose(vae.unit_kl(sentences).kl, found.kl, rtol=1e-5)


def test_models_without_what_is_drawn_say_so(
    vae: TextVAE, tiny_ae: Path, tiny_lm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm, ae = TextVAE.from_pretrained(tiny_lm), TextVAE.from_pretrained(tiny_ae)
    for call in (lm.sentence_map, lm.unit_kl, lambda texts: lm.path_on_map(texts, "a", "b")):
        with pytest.raises(UsageError, match="has no latent"):
            call(["us !"])
    with pytest.raises(UsageError, match="a code has no KL"):
        ae.unit_kl(["us !"])
    assert len(ae.path_on_map(["us !", "rain ."], "us !", "rain .", 3).steps) == 3
    with pytest.raises(DataError, match="no sentences"):
        vae.sentence_map([])
    with pytest.raises(DataError, match="no sentence with text"):
        vae.unit_kl(["", " "])
    with pytest.raises(DataError, match=r"only 1 sentence on the map; lower k$"):
        vae.sentence_map(["us !"], k=2)
    with pytest.raises(UsageError, match="a path goes through the latent"):
        vae.path_on_map(["us !"], "a", "b", layer="encoder")
    monkeypatch.setattr(type(vae.model.prior), "kl_per_dimension", Prior.kl_per_dimension)
    with pytest.raises(UsageError, match="no sum over units"):
        vae.unit_kl(["us !"])


def test_reports_are_json_without_what_is_undefined(vae: TextVAE) -> None:
    rows = [Row("us !", "a"), Row("rain .")]
    report = json.loads(json.dumps(vae.sentence_map(rows, name="m").to_dict()))
    assert list(report["points"][0]) == ["index", "x", "y", "text", "label"]
    assert list(report["points"][1]) == ["index", "x", "y", "text"]
    assert (report["model"], report["n_sentences"], "k" in report) == ("m", 2, False)
