"""What a training reads: names of files, or sentences in memory."""

from __future__ import annotations

import os
import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from textvae.config import Config, DataConfig, ModelConfig, TokenizerConfig, is_own
from textvae.data.input_rows import read_stdin_once
from textvae.data.sources import find_sources
from textvae.data.texts import texts_or_names
from textvae.errors import NotFoundError, UsageError, is_utf8, shown, worded
from textvae.files.home import expand_home
from textvae.models.pretrained.reference import Reference

Texts = Iterable[str | Path] | str | Path  # sentences, or one name or a list of names


def name_sources(
    config: Config, texts: Texts | None, valid_texts: Texts | None
) -> tuple[Config, list[str] | None, list[str] | None]:
    """The configuration with the names of files in it, and sentences as lists.

    Raises:
        UsageError: there is nothing to train on, it cannot be read again, or it is a table.
    """
    names: dict[str, Any] = {}
    if not is_utf8(os.path.abspath(os.curdir)):
        raise UsageError(
            f"the name of the folder {shown(os.path.abspath(os.curdir))} is not valid UTF-8, and "
            "experiment.toml could not hold it; start from another folder"
        )
    if valid_texts is not None and valid_texts is texts and isinstance(texts, Iterator):
        raise UsageError("texts and valid are one iterator, which is read once; give two lists")
    sentences: dict[str, list[str] | None] = {"train": None, "valid": None}
    for field, name, given in (("train", "texts", texts), ("valid", "valid", valid_texts)):
        found = None
        if isinstance(given, str | Path):
            found = [str(given)]
        elif given is not None:
            sentences[field], found = texts_or_names(given, name)
        if found is not None:
            names[field] = tuple(found)
    Config.validate_values({"data": names}, where="texts")
    data = config.data.model_copy(update=names)
    if sentences["train"] is None and not data.train:
        raise UsageError("nothing to train on: give a file, a glob, `-`, hf:NAME or sentences")
    read_stdin_once(*data.train, *data.valid)
    if "-" in (*data.train, *data.valid) and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError("`-` can be read by one process only; give several processes a file")
    data = data.model_copy(update={"train": absolute(data.train), "valid": absolute(data.valid)})
    model = with_absolute_references(config.model)
    config = config.model_copy(update={"data": data, "model": model})
    return config, sentences["train"], sentences["valid"]


def with_absolute_references(model: ModelConfig) -> ModelConfig:
    """The architecture with absolute paths of pretrained models that are local."""
    folders = {
        part: os.path.abspath(expand_home(name))
        for part, name in (("encoder", model.encoder), ("decoder", model.decoder))
        if not is_own(name) and os.path.exists(expand_home(name))
    }
    return model.model_copy(update=folders)


def with_their_tokenizers(
    tokenizer: TokenizerConfig, references: Mapping[str, Reference]
) -> TokenizerConfig:
    """The settings of the tokenizers, where a pretrained part reads or writes by its own one."""
    own = {}
    if "encoder" in references:
        own["encoder_tokenizer"] = str(references["encoder"].tokenizer)
    if "decoder" in references:
        own["tokenizer"] = str(references["decoder"].tokenizer)
    return tokenizer.model_copy(update=own)


def absolute(specs: tuple[str, ...]) -> tuple[str, ...]:
    """Absolute paths, so that a run can be resumed from another folder."""
    return tuple(
        spec if spec == "-" or spec.startswith("hf:") else os.path.abspath(expand_home(spec))
        for spec in specs
    )


def check_not_moved(data: DataConfig, out: Path, in_memory: Collection[str]) -> None:
    """Raise NotFoundError if a file of a resumed run is missing, with the way to name it anew.

    Args:
        in_memory: fields of `data` that sentences in memory replace.
    """
    for field in ("train", "valid"):
        if field in in_memory:
            continue
        try:
            find_sources(getattr(data, field))
        except NotFoundError as error:
            place = worded("--valid VALID" if field == "valid" else "TRAIN", "")
            how = worded(
                f"textvae train {place} --resume --out {shlex.quote(str(out))}",
                f"TextVAE.train({field.replace('train', 'texts')}=..., out={str(out)!r}, "
                "resume=True)",
            )
            raise NotFoundError(f"{error}; if it was moved, name its new place: {how}") from None
