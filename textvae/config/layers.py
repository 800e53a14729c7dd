"""Layers of a configuration: recipes, TOML files and assignments; later layers override."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textvae.config.messages import all_fields, section_of
from textvae.config.schema import FORMER_ARCHITECTURE, LEFT_OUT, SECTIONS, WITHOUT_TARGET
from textvae.config.spelling import suggestion
from textvae.errors import ConfigError, NotFoundError, shown, worded
from textvae.files.home import home_path
from textvae.files.names import EXPERIMENT_FILE
from textvae.files.untrusted import parse_toml, read_text, reason, shown_name

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

# With those that change the direction of text; json itself escapes the characters below 0x20.
_CONTROLS = re.compile(r"[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

# Alternatives that exclude each other: a layer that sets one side unsets the other.
ALTERNATIVES = (frozenset({"target_kl"}), frozenset(WITHOUT_TARGET))


def lay_over(values: dict[str, dict[str, Any]], layer: Mapping[str, Mapping[str, Any]]) -> None:
    """Update `values` in place with the tables of a later layer of the configuration.

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


def leave_out(recipe: dict[str, dict[str, Any]], kind: object) -> list[str]:
    """Remove what a model of this kind has no use for from a recipe; the dotted names of that.

    >>> recipe = {"objective": {"pretrain_share": 0.5, "kl_warmup": 0.5}}
    >>> leave_out(recipe, "ae"), recipe
    (['objective.pretrain_share'], {'objective': {'kl_warmup': 0.5}})
    """
    unfit = LEFT_OUT.get(kind, {}) if isinstance(kind, str) else {}
    found = [
        (section, name)
        for section, names in unfit.items()
        for name in names
        if name in recipe.get(section, {})
    ]
    for section, name in found:
        del recipe[section][name]
    return [f"{section}.{name}" for section, name in found]


def toml_value(value: Any) -> str:
    """A scalar or a list of strings as TOML: its JSON, with all control characters escaped."""
    written = json.dumps(value, ensure_ascii=False)
    return _CONTROLS.sub(lambda match: f"\\u{ord(match[0]):04x}", written)


def parse_assignment(text: str) -> tuple[str, str, Any]:
    """(section, key, value) of `section.key=value`; a value that is not TOML is a string.

    Raises:
        ConfigError: the text has another form, or the section is unknown.
    """
    target, equals, raw = text.partition("=")
    section, dot, key = target.strip().partition(".")
    if not equals or not dot or section not in SECTIONS:
        raise ConfigError(
            f"{worded('--set ', '')}{shown(text)}: expected section.key=value, where section is "
            f"one of {', '.join(SECTIONS)}"
        )
    try:
        value = parse_toml(f"value = {raw}")["value"]
    except ValueError:  # not TOML, a number of 5,000 digits, 5,000 brackets
        value = raw.strip()
    return section, key.strip(), value


def read_recipe(name: str) -> dict[str, Any]:
    """The tables of the recipe `name`.

    Raises:
        ConfigError: the recipe does not exist.
    """
    known = recipe_names()
    if name not in known:
        own_file = worded("--config", "config=Config.resolve(file=...)")
        own = f"; use {own_file} for a file of your own" if name.endswith(".toml") else ""
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
    # Imported here: few commands need it, and the import takes 20 ms.
    from importlib.resources import files

    return files("textvae") / "recipes"


def read_toml(path: str | Path) -> dict[str, Any]:
    """The tables of a TOML file.

    Raises:
        NotFoundError: the file does not exist.
        ConfigError: the file cannot be read, is not TOML, or has a value outside any section.
    """
    try:
        values = parse_toml(read_text(home_path(path)))
    except FileNotFoundError:
        raise NotFoundError(f"{path}: no such configuration file") from None
    except ValueError as error:
        raise ConfigError(f"{path}: not valid TOML: {reason(error)}") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    for name, value in values.items():
        if not isinstance(value, dict):
            raise ConfigError(
                f"{path}: {shown_name(name)} = {shown(value)} is not in a section{_home_of(name)}"
            )
    if Path(path).name == EXPERIMENT_FILE:  # states all values that the version had
        values["model"] = {**FORMER_ARCHITECTURE, **values.get("model", {})}
    return values


def _home_of(name: str) -> str:
    return f"; put it under [{section_of(name)}]" if name in all_fields() else ""
