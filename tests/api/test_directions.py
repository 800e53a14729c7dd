"""Directions and analogies of a model: arithmetic on its vectors, and what they decode to."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from textvae import TextVAE
from textvae.api import Direction
from textvae.classification.linear import fit
from textvae.classification.probes import moments
from textvae.errors import DataError, NotFoundError, TextVAEWarning, UsageError
from textvae.randomness.streams import SampleStreams


@pytest.fixture
def vae(tiny_vae: Path) -> TextVAE:
    """A model that decodes distinct vectors to distinct sentences: its weights are random."""
    vae = TextVAE.from_pretrained(tiny_vae, device="cpu")
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in vae.model.parameters():
            parameter.normal_(std=0.7, generator=random)
    return vae


@pytest.fixture
def sets(sentences: list[str]) -> tuple[list[str], list[str]]:
    """Sentences about a dog, and about others."""
    dogs = [text for text in sentences if text.startswith("the dog")]
    return dogs, [text for text in sentences if text not in dogs]


def test_the_mean_direction_is_the_difference_of_the_mean_vectors(vae, sets) -> None:
    start, end = sets
    found = vae.direction(start, end)
    difference = vae.encode(end).mean(0) - vae.encode(start).mean(0)
    np.testing.assert_allclose(found.vector, difference, atol=1e-6)
    assert (found.method, found.n_start, found.n_end) == ("mean", 30, 120)
    back = vae.direction(end, start)
    np.testing.assert_allclose(back.vector, -found.vector, atol=1e-12)
    assert back.separation == pytest.approx(found.separation)


def test_the_linear_direction_is_the_difference_seen_by_a_classifier(vae, sets) -> None:
    start, end = map(vae.encode, sets)
    mean, scale = moments(np.concatenate([start, end]))
    labels = np.repeat([0, 1], [len(start), len(end)])
    weights = fit((np.concatenate([start, end]) - mean) / scale, labels).weights
    normal = (weights[1] - weights[0]) / scale
    found = vae.direction(*sets, method="linear").vector
    difference = vae.direction(*sets).vector
    assert found @ normal == pytest.approx(difference @ normal, abs=1e-6)
    cosine = found @ normal / np.linalg.norm(found) / np.linalg.norm(normal)
    assert cosine == pytest.approx(1, abs=1e-6)


def test_sentences_are_decoded_from_the_moved_vectors(vae, sets, monkeypatch) -> None:
    start, end = sets
    direction = vae.direction(start, end)
    strengths = [0, -1.5, 2]
    monkeypatch.setattr("textvae.data.input_rows.CHUNK", 7)  # two sentences at a time
    found = vae.attribute(start[:5], direction, strengths=strengths)
    assert [(row.index, row.strength) for row in found] == [
        (index, strength) for index in range(5) for strength in strengths
    ]
    assert [row.text for row in found[::3]] == start[:5]
    assert [row.shifted for row in found[::3]] == vae.reconstruct(start[:5])
    z = vae.encode(start[:5])
    for place, strength in enumerate(strengths):
        expected = vae.decode(z + strength * direction.vector)
        assert [row.shifted for row in found[place::3]] == expected
    assert len({row.shifted for row in found}) > 5


def test_samples_move_along_the_direction(vae, sets, tmp_path) -> None:
    direction = vae.direction(*sets)
    direction.save(tmp_path / "d.safetensors")
    found = vae.generate(6, seed=3, greedy=True, towards=tmp_path / "d.safetensors", strength=2)
    z = SampleStreams(3, range(6)).normal(vae.latent_size).numpy()
    assert found == vae.decode(z + 2 * direction.vector, greedy=True)
    assert vae.generate(3, seed=3, greedy=True, towards=direction, strength=2) == found[:3]
    assert vae.generate(6, seed=3, towards=direction, strength=0) == vae.generate(6, seed=3)
    near = vae.generate(1, near=sets[0][0], scale=0, towards=direction)
    assert near == [vae.attribute(sets[0][:1], direction)[0].shifted]
    with pytest.raises(UsageError, match="strength 2 has no effect without towards"):
        vae.generate(1, strength=2)


def test_a_direction_belongs_to_its_model(vae, tiny_vae, tiny_ae, tiny_lm, sets) -> None:
    direction = vae.direction(*sets)
    trained = TextVAE.from_pretrained(tiny_vae)
    for call in (trained.attribute, lambda _, d: trained.generate(1, towards=d)):
        with pytest.raises(DataError, match="another model"):
            call(["us !"], direction)
    with pytest.raises(DataError, match="another model"):
        vae.attribute(["us !"], replace(direction, vector=direction.vector[:1]))
    ae = TextVAE.from_pretrained(tiny_ae)
    assert isinstance(ae.direction(*sets), Direction)
    lm = TextVAE.from_pretrained(tiny_lm)
    for refused in (
        lambda: lm.direction(*sets),
        lambda: lm.attribute(["us !"], direction),
        lambda: lm.generate(1, towards=direction),
        lambda: lm.analogy("us !", "us !", "us !"),
    ):
        with pytest.raises(UsageError, match="no latent"):
            refused()


def test_sets_without_a_difference_are_refused_and_blank_lines_are_skipped(vae, sets) -> None:
    start, end = sets
    with pytest.raises(DataError, match="no sentences"):
        vae.direction([" ", ""], end)
    with pytest.raises(DataError, match="do not differ"):
        vae.direction(start, list(start))
    with pytest.raises(UsageError, match="mean or linear"):
        vae.direction(start, end, method="median")
    with pytest.warns(TextVAEWarning, match="skipped 2 blank lines"):
        found = vae.direction([*start, "", " "], end)
    np.testing.assert_array_equal(found.vector, vae.direction(start, end).vector)
    with pytest.warns(TextVAEWarning, match="only 3 sentences for a direction in 4 dimensions"):
        vae.direction(start[:1], end[:2])
    with pytest.raises(NotFoundError, match=r"no\.txt"):
        vae.direction(iter(start), "no.txt")
    with pytest.raises(UsageError, match="given twice"):
        vae.direction("-", Path("-"))
    with pytest.raises(UsageError, match="direction is 3; expected a Direction"):
        vae.attribute(start, 3)
    for strengths in ([], "12", [1e7], [float("nan")], [True], [1] * 101):
        with pytest.raises(UsageError):
            vae.attribute(start, found, strengths=strengths)


def log_p(vae: TextVAE, text: str, z: np.ndarray) -> float:
    """log p(x|z), a token at a time."""
    decoder = vae.model.decoder
    (ids,) = vae.tokenizer.encode([text])
    state = decoder.start(torch.from_numpy(z)[None].float(), 1)
    tokens = [decoder.vocabulary.bos_id, *ids, decoder.vocabulary.eos_id]
    total = 0.0
    with torch.inference_mode():
        for before, after in itertools.pairwise(tokens):
            logits, state = decoder.step(torch.tensor([before]), state)
            total += float(logits.log_softmax(1)[0, after])
    return total


@pytest.mark.parametrize("kind", ["vae", "ae"])
def test_candidates_are_ranked_by_their_likelihood_at_the_point(
    kind: str, vae, tiny_ae, sentences
) -> None:
    model = vae if kind == "vae" else TextVAE.from_pretrained(tiny_ae, device="cpu")
    a, b, c = sentences[0], sentences[31], sentences[62]
    of = dict(zip("abc", model.encode([a, b, c]), strict=True))
    z = of["c"] + 1.5 * (of["b"] - of["a"])
    (alone,) = model.analogy(a, b, c, n=1, scale=1.5)
    assert [alone.text] == model.decode(z[None])
    found = model.analogy(a, b, c, n=3, scale=1.5, spread=3.0)
    assert len({candidate.text for candidate in found}) == 3
    assert [candidate.index for candidate in found] == [0, 1, 2]
    scores = [candidate.log_likelihood for candidate in found]
    assert scores == sorted(scores, reverse=True)
    assert alone.text in [candidate.text for candidate in found]
    for candidate in found:
        assert candidate.log_likelihood == pytest.approx(log_p(model, candidate.text, z), abs=1e-3)
    few = {one.text for one in model.analogy(a, b, c, n=2, scale=1.5, spread=3.0)}
    assert few < {one.text for one in found}


def test_an_analogy_that_changes_nothing_is_a_reconstruction(vae, sentences) -> None:
    a, c = sentences[5], sentences[44]
    for found in (vae.analogy(a, a, c, n=1), vae.analogy(a, c, c, n=1, scale=0)):
        assert [found[0].text] == vae.reconstruct([c])
    assert [vae.analogy(a, c, a, n=1)[0].text] == vae.reconstruct([c])
    with pytest.warns(TextVAEWarning, match="only 1 different sentence"):
        assert len(vae.analogy(a, a, c, n=2, spread=0)) == 1
    for wrong in ({"n": 0}, {"n": 10_001}, {"scale": float("inf")}, {"spread": -1}):
        with pytest.raises(UsageError):
            vae.analogy(a, a, c, **wrong)
