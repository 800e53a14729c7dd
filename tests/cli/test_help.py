"""What each command's help says of its arguments agrees with what the command takes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command

from textvae.cli.evaluate import EXAMPLES
from textvae.cli.main import app


def commands(group: Any = None, name: str = "textvae") -> Iterator[tuple[str, Any]]:
    """(full name, command) of all commands."""
    group = group or get_command(app)
    for own, command in group.commands.items():
        full = f"{name} {own}"
        if hasattr(command, "commands"):
            yield from commands(command, full)
        else:
            yield full, command


COMMANDS = list(commands())


@pytest.mark.parametrize(("name", "command"), COMMANDS)
def test_what_is_required_has_no_default(name: str, command: Any) -> None:
    for parameter in command.params:
        if parameter.required:
            words = getattr(parameter, "help", None) or ""
            assert not re.search(r"\bnone\b", words, re.IGNORECASE), (name, parameter.name)


@pytest.mark.parametrize(("name", "command"), COMMANDS)
def test_brackets_and_dots_stand_once(name: str, command: Any) -> None:
    with command.make_context(name, [], resilient_parsing=True) as context:
        usage = command.get_usage(context)
    assert not re.search(r"\[\[|\{\{|\.\.\.\S?\.\.\.", usage), usage


@pytest.mark.parametrize("columns", [40, 60, 200])
def test_help_fits_the_terminal(columns: int) -> None:
    help_ = subprocess.run(
        [sys.executable, "-m", "textvae", "evaluate", "--help"],
        env={**os.environ, "COLUMNS": str(columns)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    text, _, lines = help_.partition("Examples:")
    assert max(map(len, text.splitlines())) <= min(columns, 100)
    if columns == 40:  # each example goes on after a backslash
        assert max(map(len, lines.splitlines())) <= 40
    commands = lines.replace("\\\n", "").split("textvae evaluate")[1:]
    assert [" ".join(command.split()) for command in commands] == [
        example.removeprefix("textvae evaluate ") for example in EXAMPLES
    ]
