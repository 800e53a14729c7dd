"""Model folders: config.json, model.safetensors and tokenizer.json. No pickle, no code."""

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
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch.overrides import TorchFunctionMode

from textvae.config import DataConfig
from textvae.data.tokenizers import Tokenizer
from textvae.errors import ModelFormatError, NotFoundError, TextVAEError, is_utf8, shown
from textvae.files.atomic import flush, half_written, replacing
from textvae.files.names import (
    CONFIG_FILE,
    ENCODER_TOKENIZER_FILE,
    METRICS_FILE,
    TOKENIZER_FILE,
    WEIGHTS_FILE,
)
from textvae.files.tensor_header import TensorFacts, read_header
from textvae.files.untrusted import inside, parse_json, reason, shown_name
from textvae.models.build import build_model, load_backbones
from textvae.models.decoder import Decoder
from textvae.models.encoder import Encoder
from textvae.models.sentence import SentenceModel
from textvae.saving import version_1
from textvae.saving.backbones import (
    described_backbone,
    embed_backbones,
    find_backbones,
    references_of,
    remove_other_backbones,
)
from textvae.saving.manifest import (
    FORMAT_VERSION,
    MODEL_TYPE,
    MOST_DESCRIPTION,
    PartFacts,
    read_description,
    read_manifest,
)

SAVE_ID = "save_id"  # in config.json and in the metadata of the weights
READINGS = 100  # attempts to read a folder whose files are being replaced
LONGEST_WRITING = 10.0  # seconds
REAL_NUMBERS = ("F16", "BF16", "F32", "F64")  # as safetensors calls them
WHOLE_NUMBERS = ("BOOL", "U8", "I8", "I16", "I32", "I64")


@dataclass(frozen=True)
class LoadedModel:
    """The contents of a model folder."""

    model: SentenceModel
    tokenizer: Tokenizer  # the decoder's tokenizer
    data: DataConfig  # how text is prepared before the tokenizer
    encoder_tokenizer: Tokenizer  # the same object if the encoder shares the tokenizer


def save_model(
    folder: Path,
    model: SentenceModel,
    tokenizer: Tokenizer,
    data: DataConfig,
    *,
    encoder_tokenizer: Tokenizer | None = None,
    with_backbones: bool = False,
) -> None:
    """Write the files of a model, all or none.

    The files are written to temporary names and then renamed, the weights first. The weights and
    config.json carry the same `save_id`, so that a reader knows which files belong together.

    Args:
        tokenizer: the decoder's tokenizer.
        encoder_tokenizer: the encoder's own tokenizer, stored in a separate file; default: shared.
        with_backbones: copy the pretrained models, too, so that loading needs nothing else.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = {TOKENIZER_FILE: tokenizer.to_bytes()}
    read_from = TOKENIZER_FILE
    if encoder_tokenizer is not None and encoder_tokenizer is not tokenizer:
        files[ENCODER_TOKENIZER_FILE] = encoder_tokenizer.to_bytes()
        read_from = ENCODER_TOKENIZER_FILE
    references = references_of(model)
    remove_other_backbones(folder, references)
    if with_backbones:
        embed_backbones(folder, references)
    description: dict[str, Any] = {
        "model_type": MODEL_TYPE,
        "format_version": FORMAT_VERSION,
        "architecture": model.config.model_dump(mode="json"),
        "text": {"lowercase": data.lowercase, "normalization": data.normalization},
        "encoder": None if model.encoder is None else described(model.encoder, read_from),
        "decoder": described(model.decoder, TOKENIZER_FILE),
    }
    for part in references:
        description[part]["backbone"] = described_backbone(model, part)
    content = json.dumps(description).encode() + b"".join(files.values())
    mark = hashlib.blake2b(content, digest_size=16).hexdigest()
    description[SAVE_ID] = mark
    with ExitStack() as opened:

        def replaced(name: str) -> IO[bytes]:
            return opened.enter_context(replacing(folder / name, follow=False))

        config_file = replaced(CONFIG_FILE)  # renamed last
        written = {name: replaced(name) for name in files}
        weights_file = replaced(WEIGHTS_FILE)
        config_file.write(json.dumps(description, indent=2).encode() + b"\n")
        for name, file in written.items():
            file.write(files[name])
        weights_file.write(weights_bytes(model, {SAVE_ID: mark}))
        # Flushed now, so that the renames are quick; config.json last, because its age tells a
        # reader that files are being replaced.
        for file in (weights_file, *written.values(), config_file):
            flush(file)
    if ENCODER_TOKENIZER_FILE not in files:  # left from an earlier model
        (folder / ENCODER_TOKENIZER_FILE).unlink(missing_ok=True)


def described(part: Encoder | Decoder, tokenizer_file: str) -> dict[str, Any]:
    """The entry in config.json for a part with a tokenizer."""
    ids = part.vocabulary
    return {
        "tokenizer": tokenizer_file,
        "vocab_size": ids.size,
        "pad_id": ids.pad_id,
        "bos_id": ids.bos_id,
        "eos_id": ids.eos_id,
        "max_tokens": part.max_tokens,
    }


def load_model(folder: Path, *, device: torch.device | str = "cpu") -> LoadedModel:
    """The model in a folder, in evaluation mode, on `device`.

    Sizes are checked against the header of the weights before any memory is allocated. Loading
    reads nothing outside the folder, whatever its files name or link to, and never executes code.
    If files are replaced while they are read, for example by a training run, they are read again
    until all come from the same save.

    Raises:
        NotFoundError: the folder or one of its files is missing.
        ModelFormatError: a file is damaged, has a newer format, does not match the other files, or
            is a link that leads out of the folder; or the folder's name is not UTF-8.
        DataError: the tokenizer cannot be used.
    """
    if not is_utf8(str(folder)):  # safetensors cannot open it
        raise ModelFormatError(f"{shown(str(folder))}: not valid UTF-8; rename the folder")
    names = (CONFIG_FILE, TOKENIZER_FILE, ENCODER_TOKENIZER_FILE, WEIGHTS_FILE)
    places = [folder / name for name in names]
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
            writing = is_being_written(folder)  # before `unchanged`: one rename ends both
            if unchanged(places, files):
                if problem is None:
                    return loaded
                if not writing:
                    raise problem
        time.sleep(0.01)
    raise problem or ModelFormatError(
        f"{folder}: the files change while they are read; stop the program that writes them"
    )


def is_being_written(folder: Path) -> bool:
    """True if a temporary config.json is a few seconds old; one left by a crash is older."""
    for path in half_written(folder, re.escape(CONFIG_FILE)):
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime < LONGEST_WRITING:
                return True
    return False


def unchanged(places: Sequence[Path], files: Sequence[IO[bytes]]) -> bool:
    """True if the files at `places` are still those that were opened, none added or removed.

    An open file keeps its inode number, so no new file can have the same number.
    """
    try:
        now = [place.stat() for place in places if place.is_file()]
    except FileNotFoundError:  # removed between the two calls
        return False
    return [(s.st_dev, s.st_ino) for s in now] == [
        (s.st_dev, s.st_ino) for s in (os.fstat(file.fileno()) for file in files)
    ]


def check_one_save(folder: Path) -> None:
    """Raise ModelFormatError if config.json and the weights come from different saves.

    Old folders and weights from other programs have no `save_id`, so they are not checked.
    """
    own = read_description(folder / CONFIG_FILE).get(SAVE_ID)
    with safe_open(folder / WEIGHTS_FILE, framework="pt") as file:
        theirs = (file.metadata() or {}).get(SAVE_ID)
    if own is not None and theirs is not None and own != theirs:
        raise ModelFormatError(
            f"{folder}: {WEIGHTS_FILE} and {CONFIG_FILE} come from different saves (different "
            "models, or an interrupted save); save the model again"
        )


def read_model(folder: Path, device: torch.device | str) -> LoadedModel:
    """The model in a folder, read once; see `load_model`."""
    for name in (CONFIG_FILE, WEIGHTS_FILE, TOKENIZER_FILE):
        require_file(folder, name)
    described = read_description(folder / CONFIG_FILE)
    if described["format_version"] == 1:
        described = version_1.description(described)
    manifest = read_manifest(folder / CONFIG_FILE, described)
    own_vocabulary = None
    tokenizer = encoder_tokenizer = Tokenizer.load(folder / TOKENIZER_FILE)
    check_tokenizer(folder, "decoder", manifest.decoder, tokenizer)
    encoder = manifest.encoder
    if encoder is not None:
        if encoder.tokenizer == ENCODER_TOKENIZER_FILE:
            require_file(folder, ENCODER_TOKENIZER_FILE)
            encoder_tokenizer = Tokenizer.load(folder / ENCODER_TOKENIZER_FILE)
            own_vocabulary = encoder_tokenizer.vocabulary
        check_tokenizer(folder, "encoder", encoder, encoder_tokenizer)
    backbones = load_backbones(find_backbones(folder, manifest.backbones))
    with torch.device("meta"), WithoutInitialisation():
        model = build_model(
            manifest.architecture,
            tokenizer.vocabulary,
            manifest.decoder.max_tokens,
            encoder_vocabulary=own_vocabulary,
            encoder_max_tokens=None if encoder is None else encoder.max_tokens,
            backbones=backbones,
        )
    weights = read_weights(
        folder / WEIGHTS_FILE,
        model,
        device,
        stored_name=version_1.weight_name if manifest.format_version == 1 else str,
    )
    model.load_state_dict(weights, strict=False, assign=True)
    model.finish_loading(device)
    return LoadedModel(model.eval(), tokenizer, manifest.data, encoder_tokenizer)


def require_file(folder: Path, name: str) -> None:
    """Raise NotFoundError if a file is missing, ModelFormatError if it links out of the folder."""
    if not own_file(folder, name).is_file():
        begun = own_file(folder, METRICS_FILE).is_file()
        raise NotFoundError(
            f"{folder} is not a textvae model: it has no {name}"
            + ("; the training run there has not saved a model yet" if begun else "")
        )


def check_tokenizer(folder: Path, part: str, facts: PartFacts, tokenizer: Tokenizer) -> None:
    """Raise ModelFormatError if config.json and a tokenizer disagree."""
    for name in ("vocab_size", "pad_id", "bos_id", "eos_id"):
        said, actual = getattr(facts, name), getattr(tokenizer, name)
        if said != actual:
            raise ModelFormatError(
                f"{folder}: {name} of the {part} is {said} in {CONFIG_FILE} but {actual} in "
                f"{facts.tokenizer}; the files belong to different models"
            )


class WithoutInitialisation(TorchFunctionMode):
    """Skips the initialisation of new parameters, because their values are read from a file.

    Random initialisation on the meta device would also import compilers, which takes a second.
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


def own_file(folder: Path, name: str) -> Path:
    """The path of a file in a model folder; the file may not exist.

    Raises:
        ModelFormatError: the file is a link that leads out of the folder.
    """
    try:
        return inside(folder, name)
    except ValueError as error:
        raise ModelFormatError(
            f"{folder}: {error}; if you trust the file, copy it into the folder"
        ) from None


def read_metrics(folder: Path) -> Iterator[dict[str, Any]]:
    """The records of metrics.jsonl; none if the file does not exist.

    A last line without a line end is still being written and is skipped.

    Raises:
        ModelFormatError: a line is not a JSON object, or too long.
    """
    path = own_file(folder, METRICS_FILE)
    if not path.is_file():
        return
    with open(path, "rb") as file:
        number = 0
        while (line := file.readline(MOST_DESCRIPTION)).endswith(b"\n"):
            number += 1
            try:
                record = parse_json(line.decode("utf-8"))
                if not isinstance(record, dict):
                    raise ValueError("expected an object")
            except ValueError as error:
                raise ModelFormatError(f"{path}, line {number}: not a record: {error}") from None
            yield record
        if len(line) == MOST_DESCRIPTION:
            raise ModelFormatError(
                f"{path}, line {number + 1}: longer than {MOST_DESCRIPTION:,} bytes"
            )


def write_weights(path: Path, model: SentenceModel) -> None:
    """Write the model's weights atomically."""
    with replacing(path, follow=False) as file:
        file.write(weights_bytes(model))


def weights_bytes(model: SentenceModel, metadata: Mapping[str, str] | None = None) -> bytes:
    """The contents of a weights file: the saved tensors of each part, by `part.name`."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in model.saved().items()}
    content = save(tensors, metadata={"format": "pt", **(metadata or {})})
    # safetensors writes metadata in any order; sorted, the same model gives the same bytes.
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    ordered = json.dumps(header, separators=(",", ":")).encode()
    return content[:8] + ordered.ljust(size) + content[8 + size :]


def read_weights(
    path: Path,
    model: SentenceModel,
    device: torch.device | str,
    *,
    stored_name: Callable[[str], str] = str,
) -> dict[str, torch.Tensor]:
    """The tensors of a weights file on `device`, checked against the tensors of `model`.

    Only the names and shapes in `model` are used, so it may be on the meta device.

    Args:
        stored_name: maps the name of a tensor in the model to its name in the file.
    """
    expected = model.saved()
    stored = {name: stored_name(name) for name in expected}
    try:
        wanted = {stored[name]: tensor for name, tensor in expected.items()}
        problem = describe_mismatch(wanted, read_header(path))
        if problem is not None:
            raise ModelFormatError(f"{path}: {problem}")
        with safe_open(path, framework="pt", device=str(device)) as file:
            tensors = {
                name: file.get_tensor(stored[name]).to(like.dtype)
                for name, like in expected.items()
            }
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelFormatError(f"{path}: damaged weights: {reason(error)}") from None
    for name, value in tensors.items():
        if value.shape != expected[name].shape:
            raise ModelFormatError(
                f"{path}: the file changed while it was read; load the model again"
            )
        if not value.isfinite().all():
            raise ModelFormatError(
                f"{path}: damaged weights: {stored[name]} has values that are not finite"
            )
    return tensors


def describe_mismatch(
    expected: Mapping[str, torch.Tensor], found: Mapping[str, TensorFacts]
) -> str | None:
    """The first difference between the weights and the configuration; None if they match."""
    for name, like in expected.items():
        if name not in found:
            return f"weights lack {name}, which {CONFIG_FILE} requires"
        shape = list(like.shape)
        if found[name].shape != shape:
            return f"{name} has shape {found[name].shape}, {CONFIG_FILE} requires {shape}"
        dtype = found[name].dtype
        if like.is_floating_point() and dtype not in REAL_NUMBERS:
            return f"{name} has dtype {shown(dtype)}, expected a floating-point dtype"
        if not like.is_floating_point() and dtype not in WHOLE_NUMBERS:
            return f"{name} has dtype {shown(dtype)}, expected whole numbers"
    extra = next((name for name in found if name not in expected), None)
    if extra is None:
        return None
    return f"weights hold {shown_name(extra)}, which {CONFIG_FILE} does not mention"


def write_atomically(path: Path, text: str) -> None:
    """Write text to a temporary name, then rename, so that no reader sees a partial file."""
    with replacing(path, follow=False) as file:
        file.write(text.encode())
