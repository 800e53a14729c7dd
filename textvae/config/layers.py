"""Layers of a configuration: recipes, TOML files and assignments, each laid over the last."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textvae.config.schema import SECTIONS, WITHOUT_TARGET
from textvae.config.wording import all_fields, section_of, suggestion
from textvae.errors import ConfigError, NotFoundError, shown
from textvae.files.untrusted import parse_toml, read_text, reason, shown_name

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

# Also those that turn the direction of what follows; json itself escapes those below 0x20.
_CONTROLS = re.compile(r"[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

# What decides the same thing: a later layer that gives one side takes back the other side.
ALTERNATIVES = (frozenset({"target_kl"}), frozenset(WITHOUT_TARGET))


def lay_over(values: dict[str, dict[str, Any]], layer: Mapping[str, Mapping[str, Any]]) -> None:
    """Put the tables of a later layer of the configuration over those that `values` has so far.

    >>> values = {"objective": {"beta": 0.5, "free_bits": 0.1}}
    >>> lay_over(values, {"objective": {"target_kl": 8.0}})
    >>> values
    {'objective': {'free_bits': 0.1, 'target_kl': 8.0}}
    """
    for section, given in layer.items():
        own = values.setdefault(section, {})
        for side, other in permutations(ALTERNATIVES):
            if not side.isdisjoint(given):
                for key in other & own.keys():
                    del own[key]
        own.update(given)


def toml_value(value: Any) -> str:
    """A scalar or a list of strings as TOML: its JSON, with no control character as it is."""
    written = json.dumps(value, ensure_ascii=False)
    return _CONTROLS.sub(lambda match: f"\\u{ord(match[0]):04x}", written)


def parse_assignment(text: str) -> tuple[str, str, Any]:
    """(section, key, value) of `section.key=value`; the value reads as TOML, else as text."""
    target, equals, raw = text.partition("=")
    section, dot, key = target.strip().partition(".")
    if not equals or not dot or section not in SECTIONS:
        raise ConfigError(
            f"--set {shown(text)}: expected section.key=value with a section of "
            f"{', '.join(SECTIONS)}"
        )
    try:
        value = parse_toml(f"value = {raw}")["value"]
    except ValueError:  # no TOML, a number of 5,000 digits, 5,000 brackets
        value = raw.strip()
    return section, key.strip(), value


def read_recipe(name: str) -> dict[str, Any]:
    """The tables of the recipe `name`.

    Raises:
        ConfigError: there is no such recipe.
    """
    known = recipe_names()
    if name not in known:
        own = "; a file of your own goes by --config" if name.endswith(".toml") else ""
        raise ConfigError(
            f"recipe {shown(name)}: expected {', '.join(known)}{suggestion(name, known)}{own}"
        )
    return tomllib.loads((_recipes() / f"{name}.toml").read_text(encoding="utf-8"))


def recipe_names() -> list[str]:
    """The names of the recipes that come with textvae, in alphabetical order.

    >>> "small" in recipe_names()
    True
    """
    files = (file.name for file in _recipes().iterdir())
    return sorted(name.removesuffix(".toml") for name in files if name.endswith(".toml"))


def _recipes() -> Traversable:
    # Here and not above: few commands need it, and its import takes 20 ms.
    from importlib.resources import files

    return files("textvae") / "recipes"


def read_toml(path: str | Path) -> dict[str, Any]:
    """The tables of a TOML file."""
    try:
        values = parse_toml(read_text(Path(path)))
    except FileNotFoundError:
        raise NotFoundError(f"{path}: no such configuration file") from None
    except ValueError as error:
        raise ConfigError(f"{path}: not valid TOML: {reason(error)}") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    for name, value in values.items():
        if not isinstance(value, dict):
            raise ConfigError(
                f"{path}: {shown_name(name)} = {shown(value)} stands in no section{_home_of(name)}"
            )
    return values


def _home_of(name: str) -> str:
    return f"; put it under [{section_of(name)}]" if name in all_fields() else ""
