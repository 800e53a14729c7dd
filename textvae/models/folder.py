"""A model is a folder: config.json, model.safetensors and tokenizer.json. No pickle, no code."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch.overrides import TorchFunctionMode

from textvae.config import DataConfig, ModelConfig, describe_validation
from textvae.data.tokenizers import Tokenizer
from textvae.errors import ModelFormatError, NotFoundError
from textvae.models.sentence import SentenceModel

FORMAT_VERSION = 1
CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
TOKENIZER_FILE = "tokenizer.json"


@dataclass(frozen=True)
class LoadedModel:
    """What a model folder holds."""

    model: SentenceModel
    tokenizer: Tokenizer
    data: DataConfig  # how text is prepared before the tokenizer


def build_model(config: ModelConfig, tokenizer: Tokenizer, max_tokens: int) -> SentenceModel:
    """A fresh model for this tokenizer, its weights drawn from torch's global generator."""
    return SentenceModel(
        config,
        vocab_size=tokenizer.vocab_size,
        pad_id=tokenizer.pad_id,
        bos_id=tokenizer.bos_id,
        eos_id=tokenizer.eos_id,
        max_tokens=max_tokens,
    )


def save_model(folder: Path, model: SentenceModel, tokenizer: Tokenizer, data: DataConfig) -> None:
    """Write the three files of a model, each beside its place and then renamed."""
    folder.mkdir(parents=True, exist_ok=True)
    description = {
        "model_type": "textvae",
        "format_version": FORMAT_VERSION,
        "architecture": model.config.model_dump(mode="json"),
        "vocab_size": model.vocab_size,
        "pad_id": model.pad_id,
        "bos_id": model.bos_id,
        "eos_id": model.eos_id,
        "max_tokens": model.max_tokens,
        "lowercase": data.lowercase,
        "normalization": data.normalization,
    }
    write_atomically(folder / CONFIG_FILE, json.dumps(description, indent=2) + "\n")
    beside = folder / f"{TOKENIZER_FILE}.part"
    tokenizer.save(beside)
    os.replace(beside, folder / TOKENIZER_FILE)
    write_weights(folder / WEIGHTS_FILE, model)


def load_model(folder: Path, *, device: torch.device | str = "cpu") -> LoadedModel:
    """The model of a folder, in evaluation mode, on `device`.

    Sizes are checked against the weights' own header before anything is allocated.

    Raises:
        NotFoundError: no folder, or one of its files is missing.
        ModelFormatError: a file is damaged, of a newer format, or does not fit the others.
    """
    for name in (CONFIG_FILE, WEIGHTS_FILE, TOKENIZER_FILE):
        if not (folder / name).is_file():
            raise NotFoundError(f"{folder} is not a textvae model: it has no {name}")
    description = read_description(folder / CONFIG_FILE)
    try:
        architecture = ModelConfig.model_validate(description["architecture"])
        data = DataConfig(
            lowercase=description["lowercase"],
            normalization=description["normalization"],
            max_tokens=description["max_tokens"],
        )
    except ValidationError as error:
        raise ModelFormatError(f"{folder / CONFIG_FILE}: {describe_validation(error)}") from None
    except KeyError as error:
        raise ModelFormatError(f"{folder / CONFIG_FILE}: {error} is missing") from None
    tokenizer = Tokenizer.load(folder / TOKENIZER_FILE)
    for name in ("vocab_size", "pad_id", "bos_id", "eos_id"):
        described, actual = description.get(name), getattr(tokenizer, name)
        if described != actual:
            raise ModelFormatError(
                f"{folder}: {name} is {described!r} in {CONFIG_FILE}, {actual} in "
                f"{TOKENIZER_FILE}; the files belong to different models"
            )
    with torch.device("meta"), WithoutInitialisation():
        model = build_model(architecture, tokenizer, data.max_tokens)
    weights = read_weights(folder / WEIGHTS_FILE, model, device)
    model.load_state_dict(weights, strict=False, assign=True)
    model.after_loading(device)
    return LoadedModel(model.eval(), tokenizer, data)


class WithoutInitialisation(TorchFunctionMode):
    """Leaves new parameters as they are: their values are about to be read from a file.

    Random initialisation on the meta device would also import a second's worth of compilers.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", "") == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def read_description(path: Path) -> dict[str, Any]:
    """The contents of config.json, of a format this program knows."""
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelFormatError(f"{path}: not valid JSON: {error}") from None
    if not isinstance(description, dict) or description.get("model_type") != "textvae":
        raise ModelFormatError(f"{path}: not the configuration of a textvae model")
    version = description.get("format_version")
    if not isinstance(version, int) or not 1 <= version <= FORMAT_VERSION:
        raise ModelFormatError(
            f"{path}: format {version!r}, this program reads up to {FORMAT_VERSION}; "
            "install a newer textvae"
        )
    return description


def own_tensors(model: SentenceModel) -> dict[str, torch.Tensor]:
    """The weights by name, each storage once: a tied output layer is left out."""
    tensors = model.state_dict()
    if model.config.tie_weights:
        del tensors["output.weight"]
    return tensors


def write_weights(path: Path, model: SentenceModel) -> None:
    """Write the model's weights, beside and then renamed."""
    beside = path.with_name(path.name + ".part")
    tensors = {
        name: value.detach().cpu().contiguous() for name, value in own_tensors(model).items()
    }
    beside.write_bytes(save(tensors, metadata={"format": "pt"}))  # save_file makes it private
    os.replace(beside, path)


def read_weights(
    path: Path, model: SentenceModel, device: torch.device | str
) -> dict[str, torch.Tensor]:
    """The tensors of a weights file on `device`, checked against what `model` needs.

    Only names and shapes of `model` are looked at, so it may be on the meta device.
    """
    expected = {name: list(value.shape) for name, value in own_tensors(model).items()}
    try:
        with safe_open(path, framework="pt", device=str(device)) as file:
            found = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
            if found != expected:
                raise ModelFormatError(f"{path}: {describe_mismatch(expected, found)}")
            tensors = {name: file.get_tensor(name) for name in found}
    except (SafetensorError, OSError) as error:
        raise ModelFormatError(f"{path}: damaged weights: {error}") from None
    for name, value in tensors.items():
        if not value.dtype.is_floating_point:
            raise ModelFormatError(f"{path}: {name} does not hold real numbers")
    return {name: value.float() for name, value in tensors.items()}


def describe_mismatch(expected: dict[str, list[int]], found: dict[str, list[int]]) -> str:
    """The first way in which weights differ from what the configuration asks for."""
    for name, shape in expected.items():
        if name not in found:
            return f"weights lack {name}, which {CONFIG_FILE} asks for"
        if found[name] != shape:
            return f"{name} has shape {found[name]}, {CONFIG_FILE} asks for {shape}"
    extra = next(name for name in found if name not in expected)
    return f"weights hold {extra}, which {CONFIG_FILE} does not ask for"


def write_atomically(path: Path, text: str) -> None:
    """Write text beside its place, then rename, so that no reader sees half of it."""
    beside = path.with_name(path.name + ".part")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, path)
