"""`textvae prior`, and the commands that use a fitted prior."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from running import ONE_LINE_ERROR

from textvae import TextVAE


@pytest.fixture
def model(fluent_vae: Path, tmp_path: Path) -> Path:
    return shutil.copytree(fluent_vae, tmp_path / "my model")


def test_a_prior_is_fitted_used_shown_and_removed(textvae, model: Path, corpus: Path) -> None:
    ran = textvae("prior", model, corpus, "--fit", "mixture", "--components", 2, "--json")
    assert ran.code == 0, ran.err
    vae = TextVAE.from_pretrained(model)
    found = vae.fit_prior("mixture", corpus, components=2)
    assert ran.rows == [{"model": str(model), **found.to_dict()}]
    assert f"prior in {model / 'prior.safetensors'}" in ran.err
    assert textvae("prior", model, "--json").rows == ran.rows

    lines = textvae("generate", model, "-n", 4, "--prior", "--seed", 2).out.splitlines()
    assert lines == vae.generate(4, seed=2, prior=found)
    ran = textvae("evaluate", model, corpus, "--samples", 2, "--limit", 9, "--prior", "--json")
    expected = vae.evaluate(corpus, samples=2, limit=9, prior=found, name=str(model))
    assert ran.rows == [expected.to_dict()]
    described = textvae("info", model, "--json").rows[0]["fitted_prior"]
    assert described == found.to_dict()

    text = textvae("prior", model).out
    assert "log_density_gain" in text
    assert "±" in text
    ran = textvae("prior", model, "--remove")
    assert (ran.code, ran.out) == (0, "")
    assert not (model / "prior.safetensors").exists()
    assert "fitted_prior" not in textvae("info", model, "--json").rows[0]


def test_a_spline_gives_the_likelihood(textvae, model: Path, corpus: Path) -> None:
    pytest.importorskip("zuko")
    ran = textvae("prior", model, corpus, "--fit", "spline", "--steps", 20, "--json")
    assert ran.code == 0, ran.err
    assert ran.rows[0]["prior"] == "spline"
    assert ran.rows[0]["log_density_gain"] > 0
    ran = textvae("evaluate", model, corpus, "--samples", 2, "--limit", 9, "--prior", "--json")
    assert ran.rows[0]["prior"] == "spline"
    assert ran.rows[0]["nll_iw"] > 0


def test_info_warns_of_a_prior_that_cannot_be_used(textvae, model: Path, corpus: Path) -> None:
    textvae("prior", model, corpus, "--fit", "gaussian")
    (model / "prior.safetensors").write_bytes(b"damaged")
    ran = textvae("info", model, "--json")
    assert ran.code == 0
    assert "warning" in ran.err
    assert "fitted_prior" not in ran.rows[0]
    assert textvae("prior", model, "--remove").code == 0


def test_an_overwritten_model_loses_its_prior(textvae, model: Path, corpus: Path) -> None:
    textvae("prior", model, corpus, "--fit", "gaussian")
    ran = textvae("train", corpus, "--out", model, "--max-steps", 1, "--overwrite", "--quiet")
    assert ran.code == 0, ran.err
    assert not (model / "prior.safetensors").exists()


def test_mistakes_are_told_in_a_line(textvae, model, tiny_lm, tiny_ae, corpus, tmp_path) -> None:
    few = tmp_path / "few.txt"
    few.write_text("us !\n")
    for code, arguments, reason in (
        (3, ("prior", model), "--fit mixture"),
        (3, ("prior", model, "--remove"), "no fitted prior"),
        (3, ("generate", model, "--prior"), f"textvae prior '{model}' --fit mixture"),
        (3, ("evaluate", model, corpus, "--prior"), "no fitted prior"),
        (2, ("prior", model, "--fit", "vamp"), "--fit"),
        (2, ("prior", model, corpus), "add --fit"),
        (2, ("prior", model, "--remove", "--fit", "flow"), "leave out one"),
        (
            2,
            ("prior", model, "--fit", "flow", "--components", 2),
            "--components 2 is for a mixture",
        ),
        (
            2,
            ("prior", model, "--fit", "mixture", "--steps", 2),
            "--steps 2 is for a flow or a spline",
        ),
        (2, ("prior", tiny_lm, "--fit", "gaussian"), "no latent"),
        (2, ("generate", tiny_lm, "--prior"), "no latent"),
        (2, ("generate", model, "--prior", "--near", "us !"), "--near"),
        (3, ("prior", model, "no.txt", "--fit", "gaussian"), "no.txt"),
        (4, ("prior", model, few, "--fit", "gaussian"), "needs 100 or more"),
    ):
        ran = textvae(*arguments, stdin="")
        assert (ran.code, ran.out) == (code, ""), (arguments, ran.err)
        error = ran.err.splitlines(keepends=True)[-1]
        assert ONE_LINE_ERROR.match(error), ran.err
        assert reason in error, error
