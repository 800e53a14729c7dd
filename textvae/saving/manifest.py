"""config.json: what a model is, part by part, read and checked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from textvae.config import DataConfig, ModelConfig, describe_validation
from textvae.errors import ModelFormatError, shown
from textvae.files.names import TOKENIZER_FILE
from textvae.files.untrusted import parse_json, read_text

MODEL_TYPE = "textvae"
FORMAT_VERSION = 2
MOST_DESCRIPTION = 1 << 20  # bytes of config.json, and of a line of metrics

Id = Annotated[int, Field(ge=0)]


class Described(BaseModel):
    """A table of config.json: of the types that it has, never "8" for 8; values never change."""

    model_config = ConfigDict(frozen=True)


class TextFacts(Described):
    """How text is prepared before a tokenizer reads it."""

    lowercase: bool
    normalization: str


class PartFacts(Described):
    """An encoder or a decoder: its tokenizer, and the longest sentence."""

    tokenizer: Literal["tokenizer.json", "encoder_tokenizer.json"]
    vocab_size: Id
    pad_id: Id
    bos_id: Id
    eos_id: Id
    max_tokens: int


class Manifest(Described):
    """What a model folder says of its model."""

    format_version: int
    architecture: ModelConfig
    text: TextFacts
    encoder: PartFacts | None
    decoder: PartFacts

    @model_validator(mode="after")
    def _the_parts_are_those_of_the_model(self) -> Manifest:
        if (self.encoder is None) != (self.architecture.model == "lm"):
            raise ValueError("a language model has no encoder, and every other model has one")
        if self.decoder.tokenizer != TOKENIZER_FILE:
            raise ValueError(f"decoder.tokenizer must be {TOKENIZER_FILE}")
        return self

    @property
    def data(self) -> DataConfig:
        """How text is prepared, and cut for the decoder."""
        return DataConfig.model_validate(
            {**self.text.model_dump(), "max_tokens": self.decoder.max_tokens}
        )


def read_description(path: Path) -> dict[str, Any]:
    """The contents of config.json, of a format this program knows."""
    try:
        description = parse_json(read_text(path, MOST_DESCRIPTION))
    except (OSError, ValueError) as error:
        raise ModelFormatError(f"{path}: not valid JSON: {error}") from None
    if not isinstance(description, dict) or description.get("model_type") != MODEL_TYPE:
        raise ModelFormatError(f"{path}: not the configuration of a textvae model")
    version = description.get("format_version")
    if type(version) is not int or not 1 <= version <= FORMAT_VERSION:
        raise ModelFormatError(
            f"{path}: format {shown(version)}, this program reads up to {FORMAT_VERSION}; "
            "install a newer textvae"
        )
    return description


def read_manifest(path: Path, description: dict[str, Any]) -> Manifest:
    """The description of config.json, checked.

    Raises:
        ModelFormatError: something is missing, of a wrong type or outside what is allowed.
    """
    own = {key: value for key, value in description.items() if key in Manifest.model_fields}
    try:
        manifest = Manifest.model_validate(own, strict=True)
        limits = [manifest.decoder, *([] if manifest.encoder is None else [manifest.encoder])]
        for part in limits:  # the limits of text are those of a configuration
            DataConfig.model_validate(
                {**manifest.text.model_dump(), "max_tokens": part.max_tokens}, strict=True
            )
    except ValidationError as error:
        raise ModelFormatError(f"{path}: {describe_validation(error)}") from None
    return manifest
