"""Configuration errors as messages that a user can act on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from textvae.config.schema import SECTIONS
from textvae.config.spelling import suggestion
from textvae.errors import ConfigError, shown
from textvae.files.untrusted import shown_name

MOST_SAID = 10  # problems listed in one message


def describe_validation(error: ValidationError) -> str:
    """The first problems that pydantic found, in one line, each with its dotted path."""
    found = error.errors(include_url=False)
    said = [_describe_one(item) for item in found[:MOST_SAID]]
    if len(found) > MOST_SAID:
        said.append(f"and {len(found) - MOST_SAID:,} more")
    return "; ".join(said)


def _describe_one(item: Any) -> str:
    path = shown_name(".".join(map(str, item["loc"])))
    if item["type"] == "extra_forbidden":
        known = list(SECTIONS) if len(item["loc"]) == 1 else all_fields()
        return f"{path} is not a known key{suggestion(str(item['loc'][-1]), known)}"
    if item["type"] == "missing":
        return f"{path} is missing"
    if item["type"] == "value_error":
        message = item["msg"].removeprefix("Value error, ")
        message = message[:1].lower() + message[1:]
        if not path or isinstance(item["input"], Mapping | BaseModel):
            return f"{path}: {message}" if path else message
        return f"{path} = {shown(item['input'])}: {message}"
    return f"{path or 'all'} = {shown(item['input'])}: expected {_expected(item)}"


def _expected(item: Any) -> str:
    """The kind and range of the values allowed at the path of a pydantic error."""
    if item["type"] in ("model_type", "model_attributes_type"):
        return "a table of keys and values"
    if isinstance(item["loc"][-1], int):
        return "text"
    name = item["loc"][-1]
    if name not in all_fields():  # a table that is not a configuration
        return item["msg"].removeprefix("Input should be ")
    schema = SECTIONS[section_of(name)].model_json_schema()["properties"][name]
    return _in_words(schema) or " or ".join(filter(None, map(_in_words, schema["anyOf"])))


def _in_words(schema: Mapping[str, Any]) -> str:
    """The values that a JSON schema allows, in words; an empty string for `null`.

    >>> _in_words({"type": "integer", "minimum": 1, "maximum": 65536})
    'a whole number from 1 to 65,536'
    >>> _in_words({"enum": ["cut", "drop"]})
    "'cut' or 'drop'"
    """
    if "enum" in schema:
        *most, last = map(repr, schema["enum"])
        return f"{', '.join(most)} or {last}"
    kind = KINDS.get(schema.get("type", ""), "")
    low, high, above, below = (
        None if key not in schema else f"{schema[key]:,}".removesuffix(".0")
        for key in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
    )
    if low is not None:
        start = f" from {low}" if high or below else f" of {low} or more"
    else:
        start = "" if above is None else f" above {above}"
    end = f" to {high}" if high is not None else ""
    if below is not None:
        end = f" to less than {below}" if low is not None else f" and less than {below}"
    return kind + start + end


KINDS = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "string": "text",
    "array": "a list of strings",
}


def section_of(option: str) -> str:
    """The name of the section that has the field `option`.

    Raises:
        ConfigError: no section has it.
    """
    for section, fields in SECTIONS.items():
        if option in fields.model_fields:
            return section
    raise ConfigError(f"unknown option {shown(option)}{suggestion(option, all_fields())}")


def all_fields() -> list[str]:
    """The field names of all sections."""
    return [name for fields in SECTIONS.values() for name in fields.model_fields]
