"""A model is a folder: config.json, model.safetensors and tokenizer.json. No pickle, no code."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
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
from textvae.limits import inside, parse_json, read_text, shown, shown_name
from textvae.models.sentence import SentenceModel
from textvae.models.tensors import TensorFacts, read_header

FORMAT_VERSION = 1
CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
PREPARATION = ("lowercase", "normalization", "max_tokens")  # of the text, in config.json
TOKENIZER_FILE = "tokenizer.json"
METRICS_FILE = "metrics.jsonl"
REAL_NUMBERS = ("F16", "BF16", "F32", "F64")  # as safetensors calls them
_MOST_DESCRIPTION = 1 << 20  # bytes of config.json, and of a line of metrics


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
    beside.unlink(missing_ok=True)  # which could be a link
    tokenizer.save(beside)
    os.replace(beside, folder / TOKENIZER_FILE)
    write_weights(folder / WEIGHTS_FILE, model)


def load_model(folder: Path, *, device: torch.device | str = "cpu") -> LoadedModel:
    """The model of a folder, in evaluation mode, on `device`.

    Sizes are checked against the weights' own header before anything is allocated. Nothing
    outside the folder is read, whatever its files name or link to, and nothing in it is run.

    Raises:
        NotFoundError: no folder, or one of its files is missing.
        ModelFormatError: a file is damaged, of a newer format, does not fit the others, or is a
            link that leads out of the folder.
        DataError: the tokenizer is none that can be used.
    """
    for name in (CONFIG_FILE, WEIGHTS_FILE, TOKENIZER_FILE):
        if not own_file(folder, name).is_file():
            raise NotFoundError(f"{folder} is not a textvae model: it has no {name}")
    description = read_description(folder / CONFIG_FILE)
    prepared = {key: description[key] for key in PREPARATION if key in description}
    try:
        # Strictly: True is no size, and neither is "8".
        architecture = ModelConfig.model_validate(description["architecture"], strict=True)
        if missing := [key for key in PREPARATION if key not in description]:
            raise KeyError(missing[0])
        data = DataConfig.model_validate(prepared, strict=True)
    except ValidationError as error:
        raise ModelFormatError(f"{folder / CONFIG_FILE}: {describe_validation(error)}") from None
    except KeyError as error:
        raise ModelFormatError(f"{folder / CONFIG_FILE}: {error} is missing") from None
    tokenizer = Tokenizer.load(folder / TOKENIZER_FILE)
    for name in ("vocab_size", "pad_id", "bos_id", "eos_id"):
        described, actual = description.get(name), getattr(tokenizer, name)
        if type(described) is not int or described != actual:
            raise ModelFormatError(
                f"{folder}: {name} is {shown(described)} in {CONFIG_FILE}, {actual} in "
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
        description = parse_json(read_text(path, _MOST_DESCRIPTION))
    except (OSError, ValueError) as error:
        raise ModelFormatError(f"{path}: not valid JSON: {error}") from None
    if not isinstance(description, dict) or description.get("model_type") != "textvae":
        raise ModelFormatError(f"{path}: not the configuration of a textvae model")
    version = description.get("format_version")
    if type(version) is not int or not 1 <= version <= FORMAT_VERSION:
        raise ModelFormatError(
            f"{path}: format {shown(version)}, this program reads up to {FORMAT_VERSION}; "
            "install a newer textvae"
        )
    return description


def own_file(folder: Path, name: str) -> Path:
    """Where a file of a model's folder is, whether or not it exists.

    Raises:
        ModelFormatError: it is a link that leads out of the folder.
    """
    try:
        return inside(folder, name)
    except ValueError as error:
        raise ModelFormatError(
            f"{folder}: {error}; put the file itself there, if you trust it"
        ) from None


def read_metrics(folder: Path) -> Iterator[dict[str, Any]]:
    """The records of metrics.jsonl, none where there is no such file.

    A last line without its end is still being written, and left out.

    Raises:
        ModelFormatError: a line is no record.
    """
    path = own_file(folder, METRICS_FILE)
    if not path.is_file():
        return
    with open(path, "rb") as file:
        number = 0
        while (line := file.readline(_MOST_DESCRIPTION)).endswith(b"\n"):
            number += 1
            try:
                record = parse_json(line.decode("utf-8"))
                if not isinstance(record, dict):
                    raise ValueError("expected an object")
            except ValueError as error:
                raise ModelFormatError(f"{path}, line {number}: no record: {error}") from None
            yield record
        if len(line) == _MOST_DESCRIPTION:
            raise ModelFormatError(
                f"{path}, line {number + 1}: longer than {_MOST_DESCRIPTION:,} bytes"
            )


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
    beside.unlink(missing_ok=True)  # which could be a link
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
        problem = describe_mismatch(expected, read_header(path))
        if problem is not None:
            raise ModelFormatError(f"{path}: {problem}")
        with safe_open(path, framework="pt", device=str(device)) as file:
            tensors = {name: file.get_tensor(name).float() for name in expected}
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelFormatError(f"{path}: damaged weights: {error}") from None
    for name, value in tensors.items():
        if not value.isfinite().all():
            raise ModelFormatError(
                f"{path}: damaged weights: {name} has values that are not finite"
            )
    return tensors


def describe_mismatch(
    expected: dict[str, list[int]], found: Mapping[str, TensorFacts]
) -> str | None:
    """The first way in which weights differ from what the configuration asks for, if any."""
    for name, shape in expected.items():
        if name not in found:
            return f"weights lack {name}, which {CONFIG_FILE} asks for"
        if found[name].shape != shape:
            return f"{name} has shape {found[name].shape}, {CONFIG_FILE} asks for {shape}"
        if found[name].dtype not in REAL_NUMBERS:
            return f"{name} does not hold real numbers, but {shown(found[name].dtype)}"
    extra = next((name for name in found if name not in expected), None)
    if extra is None:
        return None
    return f"weights hold {shown_name(extra)}, which {CONFIG_FILE} does not ask for"


def write_atomically(path: Path, text: str) -> None:
    """Write text beside its place, then rename, so that no reader sees half of it."""
    beside = path.with_name(path.name + ".part")
    beside.unlink(missing_ok=True)  # which could be a link
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, path)
