"""Priors that are fitted to a model: what they change, and where they are stored."""

from __future__ import annotations

import importlib.util
import math
import shutil
import sys
import warnings
from pathlib import Path

import pytest
import torch

from textvae import TextVAE
from textvae.api import FittedPrior, priors
from textvae.data.rows import hash_fraction
from textvae.errors import (
    DataError,
    ModelFormatError,
    NotFoundError,
    TextVAEWarning,
    UsageError,
)
from textvae.evaluation.likelihood import chunks_by_length, importance_weighted, posteriors
from textvae.randomness.streams import SampleStreams

STEPS = {"gaussian": {}, "mixture": {"components": 3}, "flow": {"steps": 10}}
if importlib.util.find_spec("zuko") is not None:
    STEPS["spline"] = {"steps": 20}


@pytest.fixture(scope="module")
def vae(fluent_vae: Path) -> TextVAE:
    return TextVAE.from_pretrained(fluent_vae, device="cpu")


@pytest.fixture(scope="module")
def fitted(vae: TextVAE, sentences: list[str]) -> dict[str, FittedPrior]:
    """One of each kind."""
    return {
        kind: vae.fit_prior(kind, sentences, seed=3, **options) for kind, options in STEPS.items()
    }


@pytest.fixture
def own(fluent_vae: Path, tmp_path: Path) -> TextVAE:
    """A copy of the model in a folder of its own."""
    return TextVAE.from_pretrained(shutil.copytree(fluent_vae, tmp_path / "own"), device="cpu")


def test_the_gain_is_the_fall_of_the_kl(
    vae: TextVAE, fitted: dict[str, FittedPrior], sentences: list[str]
) -> None:
    """Of the held-out posteriors, from the model's own prior to a Gaussian: in closed form."""
    found, prior = fitted["gaussian"], vae.model.prior
    assert prior is not None
    assert found.n_sentences + found.n_held_out == 150
    texts = [text for text in sentences if hash_fraction(text, purpose="prior") < 0.1]
    assert len(texts) == found.n_held_out
    q = vae.posterior(texts)
    fall = (prior.kl(q, q.mean) - found.prior.kl(q, q.mean)).mean().item()
    assert found.figures["log_density_gain"] == pytest.approx(fall, rel=0.1)
    assert fall > 0.2


def test_repeated_sentences_are_not_told_apart_from_the_prior(
    tiny_ae: Path, sentences: list[str]
) -> None:
    """Their codes are equal: each would be the nearest neighbor of the other."""
    ae = TextVAE.from_pretrained(tiny_ae, device="cpu")
    once, thrice = (ae.fit_prior("gaussian", sentences * times, seed=3) for times in (1, 3))
    assert thrice.n_held_out == 3 * once.n_held_out
    assert thrice.figures["told_apart_own"] == once.figures["told_apart_own"]
    assert thrice.figures["told_apart"] == pytest.approx(once.figures["told_apart"], abs=0.1)
    assert thrice.figures["told_apart"] < 0.8


@pytest.mark.parametrize("kind", STEPS)
def test_samples_are_a_prefix_and_those_of_the_prior(
    vae: TextVAE, fitted: dict[str, FittedPrior], kind: str
) -> None:
    prior = fitted[kind]
    many = vae.generate(12, seed=5, prior=prior)
    assert vae.generate(4, seed=5, prior=prior) == many[:4]
    assert list(vae.iter_generate(12, seed=5, prior=prior, batch_size=5)) == many
    assert many != vae.generate(12, seed=5)
    noise = SampleStreams(5, range(12)).normal(prior.prior.noise_size)
    assert vae.decode(prior.prior.sample(noise)) == many


def test_evaluation_takes_the_likelihood_of_the_fitted_prior(
    vae: TextVAE, fitted: dict[str, FittedPrior], sentences: list[str]
) -> None:
    texts = sentences[:20]
    before = vae.evaluate(texts, samples=5).figures
    ids = vae.tokenizer.encode(texts)
    for prior in (fitted[kind] for kind in ("mixture", "spline") if kind in fitted):
        found = vae.evaluate(texts, samples=5, prior=prior).figures
        assert found["prior"] == str(prior)
        assert (found["rec"], found["mi"]) == (before["rec"], before["mi"])
        model = vae.model.with_prior(prior.prior)
        chunks = chunks_by_length(ids, model)
        expected = importance_weighted(model, chunks, posteriors(model, chunks), samples=5, seed=0)
        assert found["nll_iw"] == pytest.approx(expected.nll.mean().item(), abs=1e-6)
        assert found["kl"] == pytest.approx(expected.kl.mean().item(), abs=1e-6)
        assert found["kl"] < before["kl"]
    with pytest.raises(UsageError, match="a flow prior has no density, so kl"):
        vae.evaluate(texts, prior=fitted["flow"])


def test_a_stored_prior_stays_with_the_model(
    own: TextVAE, fitted: dict[str, FittedPrior], tmp_path: Path
) -> None:
    assert own.stored_prior() is None
    with pytest.raises(NotFoundError, match="no fitted prior; fit one with"):
        own.generate(1, prior=True)
    for kind in sorted(fitted, key="flow".__eq__):  # each replaces the one before; the last: flow
        own.store_prior(fitted[kind])
        found = own.stored_prior()
        assert found is not None
        assert found.to_dict() == fitted[kind].to_dict()
    samples = own.generate(5, prior=fitted["flow"])
    assert own.generate(5, prior=True) == samples
    own.save_pretrained(tmp_path / "copy")
    copy = TextVAE.from_pretrained(tmp_path / "copy", device="cpu")
    assert copy.generate(5, prior=True) == samples
    assert own.remove_prior()
    assert not own.remove_prior()
    assert own.stored_prior() is None
    own.save_pretrained(tmp_path / "copy")
    assert copy.stored_prior() is None


def test_a_prior_of_other_weights_is_refused(
    own: TextVAE, fitted: dict[str, FittedPrior], tmp_path: Path
) -> None:
    path = own.store_prior(fitted["gaussian"])
    with torch.no_grad():
        for parameter in own.model.encoder.parameters():
            parameter.mul_(1.01)
    for prior in (True, path, str(path), fitted["gaussian"]):
        with pytest.raises(DataError, match="fitted to other weights"):
            own.generate(1, prior=prior)
    with pytest.raises(DataError, match="fitted to other weights"):
        own.store_prior(fitted["mixture"])


def test_a_damaged_prior_and_a_link_out_of_the_folder_are_refused(
    own: TextVAE, fitted: dict[str, FittedPrior], tmp_path: Path
) -> None:
    path = own.store_prior(fitted["mixture"])
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelFormatError, match="damaged"):
        own.generate(1, prior=True)
    assert len(TextVAE.from_pretrained(own.folder).generate(1)) == 1  # not read, not needed
    outside = tmp_path / "outside.safetensors"
    fitted["mixture"].save(outside)
    path.unlink()
    path.symlink_to(outside)
    with pytest.raises(ModelFormatError, match="leads out of the folder"):
        own.generate(1, prior=True)
    own.store_prior(fitted["gaussian"])  # replaces the link, not its target
    assert FittedPrior.load(outside).kind == "mixture"
    assert not path.is_symlink()


def test_an_autoencoder_draws_from_the_fitted_prior(tiny_ae: Path, sentences: list[str]) -> None:
    ae = TextVAE.from_pretrained(tiny_ae, device="cpu")
    gaussian = ae.fit_prior("gaussian", sentences)
    # Its own prior is such a Gaussian of all codes.
    torch.testing.assert_close(gaussian.prior.mean, ae.model.prior.mean, atol=0.2, rtol=0.2)
    assert abs(gaussian.figures["log_density_gain"]) < 0.3
    with pytest.raises(UsageError, match="only the samples of an autoencoder"):
        ae.evaluate(sentences, prior=gaussian)
    found = ae.evaluate(sentences[:20], prior=gaussian, quality=10)
    assert found.figures["prior"] == "gaussian"
    assert "nll_iw" not in found.figures


def test_texts_without_a_low_hash_have_held_out_ones_too(vae: TextVAE) -> None:
    texts = [f"the cook likes rain {n} ." for n in range(400)]
    high = [text for text in texts if hash_fraction(text, purpose="prior") >= 0.1][:100]
    found = vae.fit_prior("gaussian", high)
    assert (found.n_sentences, found.n_held_out) == (95, 5)
    assert all(map(math.isfinite, found.figures.values()))


def test_a_prior_that_is_worse_than_the_models_own_is_told(
    tiny_ae: Path, sentences: list[str]
) -> None:
    """So many components fit the codes one by one, and not those of other sentences."""
    ae = TextVAE.from_pretrained(tiny_ae, device="cpu")
    with pytest.warns(TextVAEWarning, match="own prior is better: .* fewer components"):
        found = ae.fit_prior("mixture", sentences, components=64)
    assert found.figures["log_density_gain"] < 0
    with warnings.catch_warnings():
        warnings.simplefilter("error", TextVAEWarning)
        good = ae.fit_prior("mixture", sentences)
    assert good.figures["log_density_gain"] > -2 * good.figures["log_density_gain_se"]


def test_the_order_of_the_file_does_not_choose_what_is_judged(
    vae: TextVAE, sentences: list[str]
) -> None:
    texts = [*sentences, *sentences[:30]]
    judged = [[texts[place] for place in priors._judged(vae, texts, 40)]]
    judged += [[texts[::-1][place] for place in priors._judged(vae, texts[::-1], 40)]]
    assert sorted(judged[0]) == sorted(judged[1])
    assert len(set(judged[0])) == 40
    assert len(priors._judged(vae, texts)) == len(set(texts))


def test_the_training_text_is_the_default(vae: TextVAE) -> None:
    assert vae.fit_prior("gaussian").n_sentences > 100
    first, again = (vae.fit_prior("mixture", components=2, seed=1).to_bytes() for _ in range(2))
    assert first == again


def test_mistakes_are_told(vae: TextVAE, tiny_lm: Path, sentences: list[str]) -> None:
    with pytest.raises(
        UsageError, match="'vamp' is unknown; choose from gaussian, mixture, flow, s"
    ):
        vae.fit_prior("vamp")
    with pytest.raises(UsageError, match="components=3 is for a mixture"):
        vae.fit_prior("flow", components=3)
    with pytest.raises(UsageError, match="components=2000: expected 1,024 at most"):
        vae.fit_prior("mixture", components=2000)
    with pytest.raises(UsageError, match="steps=5 is for a flow or a spline, not for a prior"):
        vae.fit_prior("mixture", steps=5)
    with pytest.raises(UsageError, match="steps 0 must be a whole number"):
        vae.fit_prior("flow", steps=0)
    with pytest.raises(DataError, match="99 different sentences with text; a prior needs 100"):
        vae.fit_prior("gaussian", [*sentences[:99], " "])
    with pytest.raises(DataError, match="4 different sentences"):
        vae.fit_prior("flow", sentences[:4] * 50)
    with pytest.raises(UsageError, match="no latent"):
        TextVAE.from_pretrained(tiny_lm).fit_prior("gaussian", sentences)
    with pytest.raises(UsageError, match="prior has no effect near a sentence"):
        vae.generate(1, near="us !", prior=True)
    with pytest.raises(UsageError, match="expected True, a FittedPrior or its file"):
        vae.generate(1, prior=3)


def test_a_mixture_too_large_for_a_file_is_refused_before_the_fit(sentences: list[str]) -> None:
    sizes = {"latent_size": 400, "hidden_size": 8, "embedding_size": 8, "tokenizer": "word"}
    wide = TextVAE.train(sentences, max_steps=1, device="cpu", **sizes)
    with pytest.raises(UsageError, match="components=1000: 830 of 400 dimensions fit into a file"):
        wide.fit_prior("mixture", components=1000)


def test_a_spline_without_its_package_is_refused_before_the_fit(
    vae: TextVAE, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("zuko", "zuko.transforms"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UsageError, match=r"pip install 'textvae\[flows\]'"):
        vae.fit_prior("spline")
