"""Variations of a sentence: different from it and each other, ranked by stated figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from textvae import TextVAE, TextVAEWarning
from textvae.api import paraphrasing
from textvae.data.writing import letters
from textvae.errors import UsageError

GIVEN = ["the cook likes the soup .", "my sister paints us !", "the dog follows rain ."]

pytestmark = pytest.mark.filterwarnings("ignore::textvae.TextVAEWarning")


@pytest.fixture(scope="module")
def vae(fluent_vae: Path) -> TextVAE:
    return TextVAE.from_pretrained(fluent_vae)


def test_variations_differ_from_the_sentence_and_from_each_other(vae: TextVAE) -> None:
    found = vae.paraphrase(GIVEN, 20, scale=2)
    for index, text in enumerate(GIVEN):
        own = [letters(one.paraphrase) for one in found if one.index == index]
        assert len(own) > 1
        assert letters(text) not in own
        assert len(set(own)) == len(own)


def test_the_similarity_is_the_cosine_of_the_vectors_and_ranks(vae: TextVAE) -> None:
    found = vae.paraphrase(GIVEN, 20)
    for one in found:
        a, b = vae.encode([one.text, one.paraphrase]).astype(float)
        assert one.similarity == pytest.approx(a @ b / np.sqrt((a @ a) * (b @ b)), abs=1e-5)
    for index in range(len(GIVEN)):
        own = [one for one in found if one.index == index]
        assert [one.rank for one in own] == list(range(1, len(own) + 1))
        assert [one.similarity for one in own] == sorted((o.similarity for o in own), reverse=True)


def test_by_likelihood_ranks_the_same_variations_otherwise(vae: TextVAE) -> None:
    near, likely = (vae.paraphrase(GIVEN[:1], 100, by=by) for by in ("similarity", "likelihood"))
    assert {one.paraphrase for one in near} == {one.paraphrase for one in likely}
    figures = [one.log_likelihood for one in likely]
    assert figures == sorted(figures, reverse=True)
    assert max(figures) <= 0


def test_fewer_variations_are_the_first_of_more(vae: TextVAE) -> None:
    few, many = vae.paraphrase(GIVEN[:1], 2), vae.paraphrase(GIVEN[:1], 9)
    assert few == many[:2]


def test_no_result_depends_on_the_chunk(vae: TextVAE, monkeypatch: pytest.MonkeyPatch) -> None:
    together = vae.paraphrase(GIVEN, 3)
    monkeypatch.setattr(paraphrasing, "CHUNK", 1)
    for one, other in zip(together, vae.paraphrase(GIVEN, 3), strict=True):
        assert (one.index, one.paraphrase) == (other.index, other.paraphrase)
        assert one.similarity == pytest.approx(other.similarity, abs=1e-5)


def test_without_noise_there_is_the_reconstruction_alone(vae: TextVAE) -> None:
    with pytest.warns(TextVAEWarning, match="fewer than 5"):
        found = vae.paraphrase(GIVEN, scale=0)
    expected = {
        text: again
        for text, again in zip(GIVEN, vae.reconstruct(GIVEN), strict=True)
        if letters(again) != letters(text)
    }
    assert {one.text: one.paraphrase for one in found} == expected


def test_blank_lines_keep_their_index_and_get_nothing(vae: TextVAE) -> None:
    with pytest.warns(TextVAEWarning, match="texts: skipped 2 blank lines"):
        found = vae.paraphrase(["", GIVEN[0], "  "], 2)
    assert {one.index for one in found} == {1}


def test_an_autoencoder_varies_and_a_language_model_does_not(tiny_ae: Path, tiny_lm: Path) -> None:
    texts = [one.paraphrase for one in TextVAE.from_pretrained(tiny_ae).paraphrase(GIVEN, scale=3)]
    assert texts
    with pytest.raises(UsageError, match="no latent"):
        TextVAE.from_pretrained(tiny_lm).paraphrase(GIVEN)


@pytest.mark.parametrize("wrong", [{"n": 0}, {"draws": 0}, {"by": "length"}, {"scale": -1}])
def test_options_out_of_range(vae: TextVAE, wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        vae.paraphrase(GIVEN, **wrong)  # type: ignore[arg-type]
