"""Sentence vectors of the Python API: which layer, and what it holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from textvae import TextVAE
from textvae.errors import DataError, UsageError

TEXTS = ["the dog likes rain .", "", "we saw the cat and the dog ."]


@pytest.mark.parametrize("kind", ["tiny_vae", "tiny_ae"])
def test_the_latent_is_the_head_of_the_encoder_layer(
    kind: str, request: pytest.FixtureRequest
) -> None:
    vae = TextVAE.from_pretrained(request.getfixturevalue(kind))
    head = vae.model.posterior.head
    states = torch.from_numpy(vae.encode(TEXTS, layer="encoder"))
    with torch.inference_mode():
        latent = head(states.to(vae.device))[:, : vae.latent_size].cpu().numpy()
    np.testing.assert_allclose(vae.encode(TEXTS), latent, atol=1e-6)
    assert vae.vector_size("encoder") == head.in_features
    assert vae.vector_size() == vae.latent_size


def test_a_normalised_vector_keeps_its_direction(tiny_vae: Path) -> None:
    vae = TextVAE.from_pretrained(tiny_vae)
    plain, unit = vae.encode(TEXTS), vae.encode(TEXTS, normalize=True)
    np.testing.assert_allclose(unit * np.linalg.norm(plain, axis=1)[:, None], plain, atol=1e-6)


def test_the_word_average_is_the_mean_of_the_embeddings(tiny_vae: Path) -> None:
    vae = TextVAE.from_pretrained(tiny_vae)
    table = vae.model.encoder.embedding.weight.detach().cpu().numpy()
    found = vae.word_average(TEXTS)
    for row, ids in zip(found, vae.tokenizer.encode(TEXTS), strict=True):
        expected = table[ids].mean(0) if ids else np.zeros(table.shape[1])
        np.testing.assert_allclose(row, expected, atol=1e-6)


def test_no_text_gives_no_vector_of_the_right_width(tiny_vae: Path) -> None:
    vae = TextVAE.from_pretrained(tiny_vae)
    for layer in ("latent", "encoder"):
        assert vae.encode([], layer=layer).shape == (0, vae.vector_size(layer))


def test_an_unknown_layer_is_refused(tiny_vae: Path, tiny_lm: Path) -> None:
    with pytest.raises(UsageError, match="latent or encoder"):
        TextVAE.from_pretrained(tiny_vae).encode(TEXTS, layer="decoder")
    with pytest.raises(UsageError, match="no latent"):
        TextVAE.from_pretrained(tiny_lm).encode(TEXTS, layer="encoder")


def test_a_text_that_is_none_is_named_by_its_place(tiny_vae) -> None:
    vae = TextVAE.from_pretrained(tiny_vae)
    for text in ("half \ud800", None):
        with pytest.raises(DataError, match=r"texts\[1\]"):
            vae.encode(["us !", text])
