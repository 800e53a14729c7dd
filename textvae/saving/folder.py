"""A model is a folder: config.json, model.safetensors and tokenizer.json. No pickle, no code."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch.overrides import TorchFunctionMode

from textvae.config import DataConfig, ModelConfig, describe_validation
from textvae.data.tokenizers import Tokenizer
from textvae.errors import ModelFormatError, NotFoundError, TextVAEError, is_utf8, shown
from textvae.files.atomic import flush, half_written, replacing
from textvae.files.names import CONFIG_FILE, METRICS_FILE, TOKENIZER_FILE, WEIGHTS_FILE
from textvae.files.tensor_header import TensorFacts, read_header
from textvae.files.untrusted import inside, parse_json, read_text, reason, shown_name
from textvae.models.sentence import SentenceModel

FORMAT_VERSION = 1
PREPARATION = ("lowercase", "normalization", "max_tokens")  # of the text, in config.json
SAVE_ID = "save_id"  # in config.json and in the metadata of the weights
READINGS = 100  # of a folder whose files are being replaced
LONGEST_WRITING = 10.0  # seconds
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
        replacing(folder / CONFIG_FILE, follow=False) as config_file,  # its place is taken last
        replacing(folder / TOKENIZER_FILE, follow=False) as tokenizer_file,
        replacing(folder / WEIGHTS_FILE, follow=False) as weights_file,
    ):
        config_file.write(json.dumps(description, indent=2).encode() + b"\n")
        tokenizer_file.write(vocabulary)
        weights_file.write(weights_bytes(model, {SAVE_ID: sign.hexdigest()}))
        # Now, so that the renaming takes no time; the description last, whose age tells a reader
        # that files are being replaced.
        for file in (weights_file, tokenizer_file, config_file):
            flush(file)


def load_model(folder: Path, *, device: torch.device | str = "cpu") -> LoadedModel:
    """The model of a folder, in evaluation mode, on `device`.

    Sizes are checked against the weights' own header before anything is allocated. Nothing
    outside the folder is read, whatever its files name or link to, and nothing in it is run.
    Files that are replaced meanwhile, as by a training, are read again until all are of one save.

    Raises:
        NotFoundError: no folder, or one of its files is missing.
        ModelFormatError: a file is damaged, of a newer format, does not fit the others, or is a
            link that leads out of the folder; or the folder's name is not UTF-8.
        DataError: the tokenizer is none that can be used.
    """
    if not is_utf8(str(folder)):  # which safetensors does not open
        raise ModelFormatError(f"{shown(str(folder))}: not valid UTF-8; rename the folder")
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
            writing = is_being_written(folder)  # before the other look: the last file ends both
            if unchanged(places, files):
                if problem is None:
                    return loaded
                if not writing:
                    raise problem
        time.sleep(0.01)
    raise problem or ModelFormatError(f"{folder}: its files are replaced faster than they are read")


def is_being_written(folder: Path) -> bool:
    """Whether a config.json was begun in the last seconds; what a crash left behind is older."""
    for path in half_written(folder, re.escape(CONFIG_FILE)):
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime < LONGEST_WRITING:
                return True
    return False


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
        if not own_file(folder, name).is_file():
            begun = own_file(folder, METRICS_FILE).is_file()
            raise NotFoundError(
                f"{folder} is not a textvae model: it has no {name}"
                + (", a training has saved none there yet" if begun else "")
            )
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
    with replacing(path, follow=False) as file:
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
        problem = describe_mismatch(expected, read_header(path))
        if problem is not None:
            raise ModelFormatError(f"{path}: {problem}")
        with safe_open(path, framework="pt", device=str(device)) as file:
            tensors = {name: file.get_tensor(name).float() for name in expected}
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelFormatError(f"{path}: damaged weights: {reason(error)}") from None
    for name, value in tensors.items():
        if list(value.shape) != expected[name]:
            raise ModelFormatError(f"{path}: it was replaced while it was read; read it again")
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
    with replacing(path, follow=False) as file:
        file.write(text.encode())
