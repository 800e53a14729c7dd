"""config.json: the description of a model and its parts, read and checked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from textvae.config import (
    FORMER_ARCHITECTURE,
    DataConfig,
    ModelConfig,
    describe_validation,
    is_own,
)
from textvae.errors import ModelFormatError, shown
from textvae.files.names import TOKENIZER_FILE
from textvae.files.untrusted import parse_json, read_text

MODEL_TYPE = "textvae"
FORMAT_VERSION = 2
MOST_DESCRIPTION = 1 << 20  # limit in bytes for config.json, and for a line of metrics

Id = Annotated[int, Field(ge=0)]


class Described(BaseModel):
    """A table of config.json: immutable, read with strict types ("8" is no valid 8)."""

    model_config = ConfigDict(frozen=True)


class TextFacts(Described):
    """How text is prepared before tokenization."""

    lowercase: bool
    normalization: str


class BackboneFacts(Described):
    """The pretrained model behind a part: its name, its files, and how it was trained."""

    ref: str
    revision: str | None
    digest: str
    training: Literal["frozen", "full", "lora"]


class PartFacts(Described):
    """The tokenizer of an encoder or a decoder, the longest sentence, and its pretrained model."""

    tokenizer: Literal["tokenizer.json", "encoder_tokenizer.json"]
    vocab_size: Id
    pad_id: Id
    bos_id: Id
    eos_id: Id
    max_tokens: int
    backbone: BackboneFacts | None = None


class Manifest(Described):
    """The description of a model in its folder."""

    format_version: int
    architecture: ModelConfig
    text: TextFacts
    encoder: PartFacts | None
    decoder: PartFacts

    @model_validator(mode="after")
    def _the_parts_are_those_of_the_model(self) -> Manifest:
        if (self.encoder is None) != (self.architecture.model == "lm"):
            raise ValueError("a language model must not have an encoder, all other models must")
        if self.decoder.tokenizer != TOKENIZER_FILE:
            raise ValueError(f"decoder.tokenizer must be {TOKENIZER_FILE}")
        for name, facts in (("encoder", self.encoder), ("decoder", self.decoder)):
            own = is_own(getattr(self.architecture, name))
            if facts is not None and own != (facts.backbone is None):
                raise ValueError(f"{name}.backbone must describe a pretrained {name}, if it is one")
        return self

    @property
    def backbones(self) -> dict[str, BackboneFacts]:
        """The pretrained models of `encoder` and `decoder`, where there are any."""
        parts = {"encoder": self.encoder, "decoder": self.decoder}
        return {
            name: facts.backbone
            for name, facts in parts.items()
            if facts is not None and facts.backbone is not None
        }

    @property
    def data(self) -> DataConfig:
        """How text is prepared, and truncated for the decoder."""
        return DataConfig.model_validate(
            {**self.text.model_dump(), "max_tokens": self.decoder.max_tokens}
        )


def read_description(path: Path) -> dict[str, Any]:
    """The contents of config.json, if its format version is supported."""
    try:
        description = parse_json(read_text(path, MOST_DESCRIPTION))
    except (OSError, ValueError) as error:
        raise ModelFormatError(f"{path}: not valid JSON: {error}") from None
    if not isinstance(description, dict) or description.get("model_type") != MODEL_TYPE:
        raise ModelFormatError(f"{path}: not the configuration of a textvae model")
    version = description.get("format_version")
    if type(version) is not int or not 1 <= version <= FORMAT_VERSION:
        raise ModelFormatError(
            f"{path}: format {shown(version)}, but this textvae reads formats up to "
            f"{FORMAT_VERSION}; install a newer textvae"
        )
    return description


def read_manifest(path: Path, description: dict[str, Any]) -> Manifest:
    """The description of config.json, checked.

    Raises:
        ModelFormatError: a value is missing, has a wrong type or is out of range.
    """
    own = {key: value for key, value in description.items() if key in Manifest.model_fields}
    if isinstance(architecture := own.get("architecture"), dict):
        own["architecture"] = {**FORMER_ARCHITECTURE, **architecture}
    try:
        manifest = Manifest.model_validate(own, strict=True)
        limits = [manifest.decoder, *([] if manifest.encoder is None else [manifest.encoder])]
        for part in limits:  # with the same limits as a configuration
            DataConfig.model_validate(
                {**manifest.text.model_dump(), "max_tokens": part.max_tokens}, strict=True
            )
    except ValidationError as error:
        raise ModelFormatError(f"{path}: {describe_validation(error)}") from None
    return manifest
