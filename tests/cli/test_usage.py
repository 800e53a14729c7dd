"""The help of each command, and usage errors: one line on stderr, exit code 2."""

from __future__ import annotations

import typing

import pytest
from running import ONE_LINE_ERROR

from textvae.cli import options
from textvae.config import SECTIONS, Config, recipe_names, section_of


def test_each_command_has_a_description_and_an_example(textvae) -> None:
    commands = ["train", "generate", "interpolate", "reconstruct", "embed", "evaluate", "compare"]
    commands += ["probe", "classify", "cluster", "info"]
    for command in [*([name] for name in commands), ["config", "show"], ["config", "check"]]:
        help_ = textvae(*command, "--help")
        assert help_.code == 0
        assert f"textvae {' '.join(command)}" in help_.out.partition("Example")[2]


def test_options_that_set_the_configuration_agree_with_it() -> None:
    """Same name, same choices, and the default that the help shows is the true one."""
    defaults = Config()
    for option in options.CONFIG_OPTIONS:
        section = section_of(option.name)
        assert getattr(getattr(defaults, section), option.name) == option.default, option.name
        field = SECTIONS[section].model_fields[option.name].annotation
        if typing.get_origin(option.values) is typing.Literal:
            assert typing.get_args(option.values) == typing.get_args(field), option.name


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
