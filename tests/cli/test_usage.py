"""The help of each command, and usage errors: one line on stderr, exit code 2."""

from __future__ import annotations

import re
import tomllib

import pytest
from running import ONE_LINE_ERROR

from textvae.cli import config_options, options
from textvae.config import SECTIONS, Config, recipe_names, section_of


def test_each_command_has_a_description_and_an_example(textvae) -> None:
    commands = ["train", "generate", "interpolate", "reconstruct", "embed", "evaluate", "compare"]
    commands += ["probe", "classify", "cluster", "traverse", "summarize", "info"]
    for command in [*([name] for name in commands), ["config", "show"], ["config", "check"]]:
        help_ = textvae(*command, "--help")
        assert help_.code == 0
        assert f"textvae {' '.join(command)}" in help_.out.partition("Example")[2]


def test_each_field_of_the_configuration_has_a_description() -> None:
    for section in SECTIONS.values():
        for name, field in section.model_fields.items():
            assert (field.description or "").endswith((".", "...")), name


def test_each_option_of_the_configuration_takes_the_default_of_its_field(textvae) -> None:
    """Which the help shows, too."""
    given: list[str] = []
    help_ = " ".join(textvae("train", "--help").out.split())
    for name in config_options.FIELDS:
        flag = f"--{name.replace('_', '-')}"
        assert f" {flag} " in help_
        default = getattr(getattr(Config(), section_of(name)), name)
        if default not in (None, (), False):
            given += [flag, str(default)]
            assert re.search(rf" {flag} [^[]*\[default: {default}\]", help_), name
    ran = textvae("config", "show", *given)
    assert ran.code == 0
    assert Config.validate_values(tomllib.loads(ran.out), where="stdout") == Config.resolve(
        options={"beta": 1.0, "kl_schedule": "linear"}
    )


def test_the_help_names_each_recipe(textvae) -> None:
    assert sorted(options.RECIPES) == recipe_names()
    shown = " ".join(textvae("train", "--help").out.split())
    assert f"{', '.join(options.RECIPES)}." in shown


@pytest.mark.parametrize(
    "arguments",
    [
        ["nothing"],
        ["generate"],
        ["generate", "m", "--nothing"],
        ["generate", "m", "-n", "few"],
        ["generate", "m", "-n", "-1"],
        ["generate", "m", "--scale", "2"],
        ["interpolate", "m", "a", "b", "--steps", "1"],
        ["interpolate", "m", "a", "b", "--method", "straight"],
        ["embed", "m"],
        ["embed", "m", "--out", "vectors.pickle"],
        ["train", "--out", "new"],
        ["train", "text.txt"],
        ["train", "text.txt", "--out", "new", "--target-kl", "4", "--beta", "1"],
        ["train", "text.txt", "--out", "new", "--target-kl", "4", "--kl-schedule", "linear"],
        ["train", "text.txt", "--out", "new", "--encoder", "cnn"],
        ["train", "--resume"],
        ["train", "text.txt", "--out", "new", "--resume", "--overwrite"],
        ["train", "--out", "old", "--resume", "--recipe", "small"],
        ["compare", "--on", "text.txt"],
        ["compare", "m", "n"],
        ["compare", "m", "n", "m", "--on", "text.txt"],
        ["compare", "m", "n", "--on", "text.txt", "--scorer", "lm"],
        ["probe", "m", "train.tsv"],
        ["probe", "m", "train.tsv", "test.tsv", "--folds", "5"],
        ["probe", "m", "train.tsv", "--folds", "5", "--seeds", "3"],
        ["probe", "m", "train.tsv", "test.tsv", "--labels", "few"],
        ["probe", "m", "train.tsv", "test.tsv", "--labels", "0"],
        ["probe", "m", "train.tsv", "test.tsv", "--against", "m"],
        ["probe", "m", "train.tsv", "test.tsv", "--save", "classifier.pickle"],
        ["probe", "m", "-", "-"],
        ["classify", "m"],
        ["cluster", "m", "text.txt"],
        ["cluster", "m", "text.txt", "-k", "0"],
        ["cluster", "m", "text.txt", "-k", "2", "--out", "groups.npy"],
    ],
)
def test_a_usage_error_is_one_line_and_exit_code_2(textvae, arguments: list[str]) -> None:
    ran = textvae(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert ONE_LINE_ERROR.match(ran.err)


def test_without_a_command_the_help_goes_to_stderr(textvae) -> None:
    for arguments in ([], ["config"]):
        ran = textvae(*arguments)
        assert (ran.code, ran.out) == (2, "")
        assert "Commands:" in ran.err
