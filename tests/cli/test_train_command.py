"""`textvae train`: what it prints, refuses and leaves."""

from __future__ import annotations

import os
import re
import shutil
from typing import Any

import pytest
from pretrained_folders import write_encoder
from running import ONE_LINE_ERROR

from textvae.config import Config, recipe_names


def test_a_name_in_no_utf_8_is_refused_before_the_training(textvae, corpus, tmp_path) -> None:
    """Neither experiment.toml nor the weights' format could hold it."""
    name = os.fsdecode(b"\xff")
    shutil.copy(corpus, tmp_path / f"{name}.txt")
    for code, arguments in (
        (4, [tmp_path / f"{name}.txt", "--out", tmp_path / "new"]),
        (2, [corpus, "--out", tmp_path / name]),
    ):
        ran = textvae("train", *arguments, "--max-steps", 2, *SMALL)
        assert ran.code == code
        assert ONE_LINE_ERROR.match(ran.err)
        assert "not valid UTF-8" in ran.err
    assert [path.name for path in tmp_path.iterdir()] == [f"{name}.txt"]


SMALL = (
    "--hidden-size", 8, "--embedding-size", 8, "--latent-size", 2, "--tokenizer", "word",
    "--batch-size", 16, "--device", "cpu", "--set", "training.log_steps=2",
)  # fmt: skip


def test_train_prints_nothing_on_stdout_and_tells_what_to_try(textvae, corpus, tmp_path) -> None:
    out = tmp_path / "model"
    cache = ("--set", f"data.cache_dir={tmp_path / 'cache'}")
    ran = textvae("train", corpus, "--out", out, "--max-steps", 4, *SMALL, *cache)
    assert (ran.code, ran.out) == (0, "")
    assert "train step 4/4" in ran.err
    assert ran.err.rstrip().splitlines()[-2] == f"try: textvae generate {out} -n 5"
    trained = Config.resolve(file=out / "experiment.toml")
    assert (trained.model.latent_size, trained.training.max_steps) == (2, 4)

    again = textvae("train", corpus, "--out", out, "--max-steps", 4, *SMALL, *cache)
    assert again.code == 2
    assert ONE_LINE_ERROR.match(again.err)
    quiet = textvae(
        "train", corpus, "--out", out, "--max-steps", 4, *SMALL, *cache, "-q", "--overwrite"
    )
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")
    resumed = textvae("train", "--out", out, "--resume")
    assert (resumed.code, resumed.out) == (0, "")


@pytest.mark.parametrize("name", recipe_names())
def test_each_recipe_trains(textvae, corpus, tmp_path, name: str) -> None:
    out, cache = tmp_path / "model", ("--set", f"data.cache_dir={tmp_path / 'cache'}")
    given = ("--recipe", name, *SMALL[:-2], "--max-steps", 2, "--set", "training.epochs=1")
    sizes: dict[str, Any] = {"hidden_size": 8, "embedding_size": 8, "latent_size": 2}
    if name == "pretrained":  # whose encoder is on the hub
        sizes["encoder"] = str(write_encoder(tmp_path / "bert"))
        sizes["latent_size"] = 40  # more than the nested size
        given = (*given, "--encoder", sizes["encoder"], "--latent-size", 40, "--max-tokens", 32)
    ran = textvae("train", corpus, "--out", out, *given, *cache)
    assert (ran.code, ran.out) == (0, "")
    trained, alone = Config.resolve(file=out / "experiment.toml"), Config.resolve(recipe=name)
    assert trained.objective == alone.objective
    assert trained.model == alone.model.model_copy(update=sizes)
    assert textvae("evaluate", out, corpus, "--limit", 5, "--samples", 2, "--json").code == 0


def test_a_dry_run_prints_the_plan_and_trains_nothing(textvae, corpus, tmp_path) -> None:
    out = tmp_path / "model"
    ran = textvae("train", corpus, "--out", out, "--max-steps", 4, *SMALL, "--dry-run")
    assert ran.code == 0
    assert re.search(r"^parameters +[\d,]+$", ran.out, re.MULTILINE)
    seconds = re.search(r"^seconds +([\d.]+)$", ran.out, re.MULTILINE)
    assert seconds is not None  # four steps take less than a minute
    assert float(seconds[1]) > 0
    assert not out.exists()


def test_a_size_of_the_latent_is_of_no_use_to_a_language_model(textvae, corpus, tmp_path) -> None:
    told = "--latent-size does not apply to --model lm"
    rest = [*SMALL[: SMALL.index("--latent-size")], *SMALL[SMALL.index("--latent-size") + 2 :]]
    given = ("train", corpus, "--model", "lm", "--max-steps", 2, "--dry-run", *rest)
    assert told in textvae(*given, "--latent-size", 8).err
    assert told in textvae(*given, "--set", "model.latent_size=8").err
    assert told not in textvae(*given, "--recipe", "vectors").err  # a recipe suits any model


def test_a_complete_run_that_is_resumed_says_so_and_no_more(textvae, corpus, tmp_path) -> None:
    out = tmp_path / "model"
    assert textvae("train", corpus, "--out", out, "--max-steps", 2, *SMALL).code == 0
    ran = textvae("train", "--resume", "--out", out)
    assert ran.code == 0
    assert "this run is complete at step 2" in ran.err
    assert ran.err.rstrip().splitlines()[-1] == f"the model is in {out}"


def test_standard_input_is_read_once(textvae, tmp_path) -> None:
    ran = textvae("train", "-", "--valid", "-", "--out", tmp_path / "m", stdin="a b\n" * 50)
    assert ran.code == 2
    assert "`-` is given twice" in ran.err
    assert not (tmp_path / "m").exists()
