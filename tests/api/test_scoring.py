"""`TextVAE.score` and `textvae score`: likelihood, distance and threshold of each sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from running import ONE_LINE_ERROR

from textvae.api import Row, TextVAE, sentence_scores
from textvae.errors import DataError, TextVAEWarning, UsageError

LINES = ["the dog likes rain .", "", "rain the dog .", "my sister sees us !", "us ! us ! us !"]


@pytest.fixture(scope="module")
def vae(tiny_vae: Path) -> TextVAE:
    return TextVAE.from_pretrained(tiny_vae, device="cpu")


def test_the_likelihood_is_the_models_whatever_the_chunks(
    vae: TextVAE, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = -vae.log_likelihood(LINES, samples=7, seed=3)
    for size in (2, 256):
        monkeypatch.setattr(sentence_scores, "_AT_ONCE", size)
        found = vae.score([Row(text, "x") for text in LINES], samples=7, seed=3)
        np.testing.assert_allclose([one.nll_iw for one in found], expected, atol=1e-4)
        assert [(one.index, one.text, one.label) for one in found] == [
            (place, text, "x") for place, text in enumerate(LINES)
        ]
    for one in found:
        assert one.nll_per_word == pytest.approx(one.nll_iw / (len(one.text.split()) + 1))
        assert one.nll_per_byte == pytest.approx(one.nll_iw / (len(one.text.encode()) + 1))
        assert (one.distance, one.unusual, one.truncated) == (None, None, False)


def test_the_distance_is_mahalanobis_to_the_reference(
    vae: TextVAE, corpus: Path, sentences: list[str]
) -> None:
    means = vae.encode(sentences).astype(np.float64)
    inverse = np.linalg.inv(np.cov(means.T) + 1e-6 * np.eye(4))
    apart = vae.encode(LINES) - means.mean(0)
    found = vae.score(LINES, reference=corpus, samples=1)
    expected = np.sqrt(np.einsum("nd,de,ne->n", apart, inverse, apart))
    np.testing.assert_allclose([one.distance for one in found], expected, rtol=1e-3)


def test_the_threshold_is_a_quantile_of_known_sentences(vae: TextVAE, sentences: list[str]) -> None:
    for quantile in (0, 0.5, 0.9, 1):
        known = vae.score(sentences, threshold=sentences, quantile=quantile, samples=2)
        values = np.array([one.nll_per_byte for one in known])
        above = np.array([one.unusual for one in known])
        assert known.measure == "nll_per_byte"
        np.testing.assert_array_equal(above, values > known.threshold)
        assert known.threshold in values
        assert 1 - quantile - 1 / len(values) <= above.mean() <= 1 - quantile
    again = vae.score(LINES, threshold=known.threshold, samples=2)
    assert (again.threshold, len(again.sentences)) == (known.threshold, 5)


def test_blank_lines_are_no_known_sentences(vae: TextVAE, sentences: list[str]) -> None:
    with pytest.warns(TextVAEWarning, match="skipped 20 blank lines"):
        found = vae.score(LINES, threshold=[*sentences, *["", " "] * 10], samples=2)
    assert found.threshold == vae.score(LINES, threshold=sentences, samples=2).threshold
    with pytest.warns(TextVAEWarning, match="skipped 20 blank lines"):
        found = vae.score(LINES, reference=[*["", " "] * 10, *sentences], samples=1)
    expected = [one.distance for one in vae.score(LINES, reference=sentences, samples=1)]
    np.testing.assert_allclose([one.distance for one in found], expected, rtol=1e-5)


def test_each_kind_of_model_has_its_own_figures(
    tiny_lm: Path, tiny_ae: Path, sentences: list[str]
) -> None:
    lm = TextVAE.from_pretrained(tiny_lm, device="cpu")
    found = lm.score(LINES)
    np.testing.assert_allclose([one.nll_iw for one in found], -lm.log_likelihood(LINES), rtol=1e-5)
    assert {one.distance for one in found} == {None}
    ae = TextVAE.from_pretrained(tiny_ae, device="cpu")
    found = ae.score(LINES)
    prior = ae.model.prior
    apart = np.linalg.solve(prior.factor, (ae.encode(LINES) - prior.mean.numpy()).T)
    np.testing.assert_allclose(
        [one.distance for one in found], np.linalg.norm(apart, axis=0), rtol=1e-3
    )
    assert (found.measure, {one.nll_iw for one in found}) == ("distance", {None})
    for model, options, reason in (
        (lm, {"reference": sentences}, "no latent"),
        (lm, {"measure": "distance"}, "no latent"),
        (ae, {"measure": "nll_iw"}, "no density"),
        (ae, {"measure": "surprise"}, "nll_per_byte, nll_per_word"),
    ):
        with pytest.raises(UsageError, match=reason):
            model.score(LINES, **options)


def test_what_cannot_be_scored_is_refused_or_told(vae: TextVAE) -> None:
    long = "my sister " * 20
    with pytest.warns(TextVAEWarning, match="1 sentence exceeded 16 tokens"):
        (one,) = vae.score([long], samples=2)
    assert one.truncated
    (cut,) = vae.score([" ".join(long.split()[:15])], samples=2)
    assert (one.nll_iw, one.nll_per_byte) == pytest.approx((cut.nll_iw, cut.nll_per_byte))
    with pytest.warns(TextVAEWarning, match="6 sentences exceeded 16 tokens"):
        vae.score(LINES, reference=[long] * 6, samples=1)
    with pytest.warns(TextVAEWarning, match="unknown to the tokenizer"):
        vae.score(["zebra ."], samples=2)
    with pytest.raises(UsageError, match="a distance needs sentences to compare with"):
        vae.score(LINES, measure="distance")
    for error, options, reason in (
        (DataError, {"reference": LINES[:4]}, "more than 4"),
        (DataError, {"threshold": []}, "no sentence"),
        (UsageError, {"quantile": 95, "threshold": LINES}, "0 to 1"),
        (UsageError, {"quantile": 0.9}, "no effect without threshold"),
        (UsageError, {"measure": "nll_iw"}, "no effect without threshold"),
        (UsageError, {"quantile": 0.9, "threshold": 3}, "no effect without threshold"),
        (UsageError, {"threshold": float("nan")}, "finite"),
        (UsageError, {"threshold": float("inf")}, "finite"),
        (UsageError, {"samples": 0}, "samples"),
    ):
        with pytest.raises(error, match=reason):
            vae.score(LINES, **options)


def test_the_command_prints_what_python_finds(
    textvae, vae: TextVAE, tiny_vae: Path, corpus: Path
) -> None:
    common = ("score", tiny_vae, "-", "--reference", corpus, "--threshold", corpus, "--samples", 2)
    found = vae.score(LINES, reference=corpus, threshold=corpus, samples=2)
    ran = textvae(*common, "--json", stdin="\n".join(LINES))
    assert ran.code == 0
    assert ran.rows == [one.to_dict() for one in found]
    assert f"the 0.95 quantile of 150 sentences of {corpus}" in ran.err
    heading, *lines = textvae(*common, stdin="\n".join(LINES)).out.splitlines()
    assert heading.split() == ["nll_iw", "nll_per_word", "nll_per_byte", "distance", "text"]
    assert [" * " in line for line in lines] == [one.unusual for one in found]
    number = textvae("score", tiny_vae, corpus, "--threshold", "-1e9", "--samples", 1)
    assert number.out.count(" * ") == 150
    ran = textvae("score", tiny_vae, corpus, "--threshold", "nowhere.txt")
    assert (ran.code, ran.out) == (3, "")
    assert ONE_LINE_ERROR.match(ran.err)
