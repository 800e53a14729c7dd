"""A model is a folder: config.json, model.safetensors and tokenizer.json. No pickle, no code."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch.overrides import TorchFunctionMode

from textvae.config import DataConfig, ModelConfig, describe_validation
from textvae.data.replacing import flush, replacing
from textvae.data.tokenizers import Tokenizer
from textvae.errors import ModelFormatError, NotFoundError, TextVAEError
from textvae.models.sentence import SentenceModel

FORMAT_VERSION = 1
CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
TOKENIZER_FILE = "tokenizer.json"
SAVE_ID = "save_id"  # in config.json and in the metadata of the weights
READINGS = 100  # of a folder whose files are being replaced


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
    """Write the three files of a model, all of them or none.

    They are written beside their places and then renamed, the weights first; a sign of the other
    two in the weights tells a reader which belong together.
    """
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
    vocabulary = tokenizer.to_bytes()
    sign = hashlib.blake2b(json.dumps(description).encode() + vocabulary, digest_size=16)
    description[SAVE_ID] = sign.hexdigest()
    with (
        replacing(folder / CONFIG_FILE) as config_file,  # its place is taken last
        replacing(folder / TOKENIZER_FILE) as tokenizer_file,
        replacing(folder / WEIGHTS_FILE) as weights_file,
    ):
        config_file.write(json.dumps(description, indent=2).encode() + b"\n")
        tokenizer_file.write(vocabulary)
        weights_file.write(weights_bytes(model, {SAVE_ID: sign.hexdigest()}))
        for file in (config_file, tokenizer_file, weights_file):
            flush(file)  # now, so that the renaming takes no time


def load_model(folder: Path, *, device: torch.device | str = "cpu") -> LoadedModel:
    """The model of a folder, in evaluation mode, on `device`.

    Sizes are checked against the weights' own header before anything is allocated. Files that
    are replaced meanwhile, as by a training, are read again until all are of one save.

    Raises:
        NotFoundError: no folder, or one of its files is missing.
        ModelFormatError: a file is damaged, of a newer format, or does not fit the others.
    """
    places = [folder / name for name in (CONFIG_FILE, TOKENIZER_FILE, WEIGHTS_FILE)]
    problem: Exception | None = None
    for _ in range(READINGS):
        files: list[IO[bytes]] = []
        with ExitStack() as held:
            try:
                files = [held.enter_context(p.open("rb")) for p in places if p.is_file()]
                loaded = read_model(folder, device)
                check_one_save(folder)
                problem = None
            except (TextVAEError, FileNotFoundError) as error:
                problem = error
            if unchanged(places, files):
                if problem is None:
                    return loaded
                if not any(folder.glob(f".{CONFIG_FILE}.*.part")):  # it is not being written
                    raise problem
        time.sleep(0.01)
    raise problem or ModelFormatError(f"{folder}: its files are replaced faster than they are read")


def unchanged(places: Sequence[Path], files: Sequence[IO[bytes]]) -> bool:
    """Whether the files at `places` are still those that were opened; none came, none went.

    An open file keeps its number, so that no new one can be mistaken for it.
    """
    try:
        now = [place.stat() for place in places if place.is_file()]
    except FileNotFoundError:  # between the two looks
        return False
    return [(s.st_dev, s.st_ino) for s in now] == [
        (s.st_dev, s.st_ino) for s in (os.fstat(file.fileno()) for file in files)
    ]


def check_one_save(folder: Path) -> None:
    """Raise ModelFormatError where config.json is not of the save that the weights are of.

    Folders from before there was a sign of it, and other programs' weights, have none to compare.
    """
    own = read_description(folder / CONFIG_FILE).get(SAVE_ID)
    with safe_open(folder / WEIGHTS_FILE, framework="pt") as file:
        theirs = (file.metadata() or {}).get(SAVE_ID)
    if own is not None and theirs is not None and own != theirs:
        raise ModelFormatError(
            f"{folder}: {WEIGHTS_FILE} was not saved with this {CONFIG_FILE}; the files belong to "
            "different models, or the program ended while it wrote them: save the model again"
        )


def read_model(folder: Path, device: torch.device | str) -> LoadedModel:
    """The model of the files as they stand; see `load_model`."""
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
    with replacing(path) as file:
        file.write(weights_bytes(model))


def weights_bytes(model: SentenceModel, metadata: Mapping[str, str] | None = None) -> bytes:
    """The contents of a weights file."""
    tensors = {
        name: value.detach().cpu().contiguous() for name, value in own_tensors(model).items()
    }
    content = save(tensors, metadata={"format": "pt", **(metadata or {})})
    # It writes metadata in any order; here the same model is the same bytes.
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    ordered = json.dumps(header, separators=(",", ":")).encode()
    return content[:8] + ordered.ljust(size) + content[8 + size :]


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
    with replacing(path) as file:
        file.write(text.encode())
