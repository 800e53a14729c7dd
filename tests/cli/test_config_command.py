"""`textvae config`: the resolved configuration, and what is wrong with one."""

from __future__ import annotations

import tomllib

from running import ONE_LINE_ERROR

from textvae.config import Config


def test_config_show_prints_what_the_options_resolve_to(textvae, tmp_path) -> None:
    file = tmp_path / "base.toml"
    file.write_text("[model]\nlatent_size = 8\nlayers = 2\n[training]\nlearning_rate = 1e-4\n")
    ran = textvae(
        "config", "show", "--config", file, "--latent-size", 16, "--valid", "a", "--valid", "b",
        "--set", "training.patience=5",
    )  # fmt: skip
    assert (ran.code, ran.err) == (0, "")
    shown = Config.validate_values(tomllib.loads(ran.out), where="stdout")
    given = {"latent_size": 16, "layers": 2, "learning_rate": 1e-4, "patience": 5}
    assert shown == Config.resolve(options={**given, "valid": ["a", "b"]})


def test_config_show_and_check_lay_the_rest_over_a_recipe(textvae, tmp_path) -> None:
    file = tmp_path / "base.toml"
    file.write_text('[model]\nlatent_size = 7\nhidden_size = 6\nencoder = "transformer"\n')
    heads = ("--set", "model.heads=3")
    shown = textvae("config", "show", "--recipe", "small", "--config", file, "--seed", 9, *heads)
    assert (shown.code, shown.err) == (0, "")
    assert Config.validate_values(tomllib.loads(shown.out), where="stdout") == Config.resolve(
        recipe="small", file=file, options={"seed": 9}, assignments=heads[1:]
    )
    wrong = textvae("config", "check", file, "--recipe", "small")
    assert wrong.code == 4
    assert f"{file} over recipe small: model: hidden_size 6 " in wrong.err
    unknown = textvae("config", "show", "--recipe", "smal")
    assert (unknown.code, unknown.out) == (4, "")
    assert ONE_LINE_ERROR.match(unknown.err)
    assert "did you mean 'small'" in unknown.err


def test_config_check_names_what_is_wrong(textvae, tmp_path) -> None:
    file = tmp_path / "experiment.toml"
    file.write_text("[model]\nlatent_sise = 8\n")
    ran = textvae("config", "check", file)
    assert ran.code == 4
    assert "model.latent_sise" in ran.err
    assert "latent_size" in ran.err
    file.write_text("[model]\nlatent_size = 8\n")
    assert textvae("config", "check", file).code == 0
    assert textvae("--quiet", "config", "check", file).err == ""
    assert textvae("config", "check", file, "--quiet").err == ""
