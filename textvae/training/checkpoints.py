"""Checkpoints: all that a resumed run needs to go on bit for bit, as safetensors and JSON.

Each is a folder of files and of their digests, written beside its place and then renamed; so a
folder whose digests hold is whole, whatever its name is.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from textvae.errors import ModelFormatError, NotFoundError, shown
from textvae.files.atomic import naming
from textvae.files.tensor_header import read_header
from textvae.files.untrusted import inside, parse_json, read_text, reason, shown_name
from textvae.models.sentence import SentenceModel
from textvae.saving.folder import read_weights, write_weights

FOLDER = "checkpoints"
WEIGHTS, OPTIMIZER, STATE = "weights.safetensors", "optimizer.safetensors", "state.json"
AUXILIARIES = "auxiliaries.safetensors"  # of the loss, where it has parameters of its own
DIGESTS = "sha256.json"  # of the other files; written last
ANEW = "train anew: all of the first command and --overwrite, without --resume"
MOMENTS = ("exp_avg", "exp_avg_sq")  # of Adam, beside its count of steps

Count = Annotated[int, Field(ge=0, le=2**53)]
Real = Annotated[float, Field(allow_inf_nan=False)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,64}$")]


@dataclass
class TrainingState:
    """Where a run stands. Weights and optimizer state are kept beside it.

    Attributes:
        step: steps done; epoch and place in the epoch follow from it.
        seconds: time spent since the first start, over all resumptions.
        horizon: steps that the schedules run over; None until it is known.
        planned_seconds, planned_steps: the limits that the horizon was estimated for.
        eval_steps: steps between evaluations; None until the horizon is known.
        evaluated_step: step of the last evaluation; -1 before the first.
        best: lowest validation bound so far, in nats a sentence; with a target of the KL, the
            bound there.
        best_step, best_kl: when that was, and the KL of that model in nats, where it has one.
        scored_for: the target of the KL that `best` is a score for; None: without one.
        since_best: evaluations since then.
        window: sums since the last log line: rec, kl, loss, sentences, ...
        metrics_bytes: length of metrics.jsonl.
        corpus: fingerprints of what is trained on; a resumed run says so where it finds others.
        tokenizer: fingerprint of what made its ids, which a resumed run must find again.
        pretrained_step: step at which pretraining ended; None before, or without it.
        target_kl: state of the controller of the KL, where there is one.
        aggressive: state of the aggressive training of the encoder, where there is one.
        skipped, skipped_in_a_row: steps whose loss or gradient was not finite, since the last log
            line in `window`, of the whole run here; and those at the end of what is done.
        rollbacks: how often the run went back to a checkpoint, each time with half the learning
            rate.
        learning_rate: the peak that is halved so; None before the first step.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)

    step: Count = 0
    seconds: Real = 0.0
    horizon: Annotated[Count, Field(ge=1)] | None = None
    planned_seconds: Real = 0.0
    planned_steps: Count | None = None
    eval_steps: Annotated[Count, Field(ge=1)] | None = None
    evaluated_step: Annotated[int, Field(ge=-1)] = -1
    best: Real | None = None
    best_step: Count = 0
    best_kl: Real | None = None
    scored_for: Real | None = None
    since_best: Count = 0
    window: dict[Name, Real] = field(default_factory=dict)
    metrics_bytes: Count = 0
    corpus: str = ""
    tokenizer: str = ""
    pretrained_step: Count | None = None
    target_kl: list[float] = field(default_factory=list)
    aggressive: dict[str, Any] = field(default_factory=dict)
    skipped: Count = 0
    skipped_in_a_row: Count = 0
    rollbacks: Count = 0
    learning_rate: Real | None = None


def save_checkpoint(
    out: Path,
    model: SentenceModel,
    optimizer: torch.optim.Optimizer,
    state: TrainingState,
    auxiliaries: dict[str, Tensor],
    *,
    keep: int,
) -> None:
    """Write checkpoints/step-N, beside and then renamed, and remove all but the newest `keep`.

    At any moment the newest checkpoint, or the one before it, is whole. An error leaves the
    checkpoints that there were. One of a later step, which was torn and passed over, goes. Where
    the last steps were skipped, the newest of those that a run can go back to stays, too.

    Raises:
        OSError: it cannot be written; the error names the checkpoint.
    """
    final = out / FOLDER / f"step-{state.step:09d}"
    beside, before = (final.with_name(final.name + suffix) for suffix in (".part", ".old"))
    shutil.rmtree(beside, ignore_errors=True)
    with naming(final), removed_on_error(beside):
        beside.mkdir(parents=True)
        write_weights(beside / WEIGHTS, model)
        (beside / OPTIMIZER).write_bytes(save(optimizer_tensors(model, optimizer)))
        if auxiliaries:
            (beside / AUXILIARIES).write_bytes(save(auxiliaries))
        (beside / STATE).write_text(json.dumps(asdict(state)), encoding="utf-8")
        digests = {file.name: digest(file) for file in sorted(beside.iterdir())}
        (beside / DIGESTS).write_text(json.dumps(digests), encoding="utf-8")
        for file in beside.iterdir():
            flush_to_disk(file)
        if final.exists():
            shutil.rmtree(before, ignore_errors=True)
            os.replace(final, before)
        os.replace(beside, final)
        flush_to_disk(final.parent)
    folders = [folder for folder in checkpoint_folders(out) if folder.name <= final.name]
    sound = next(filter(is_sound, reversed(folders)), final)
    kept = {*folders[-keep:], sound}
    for folder in (out / FOLDER).glob("step-*"):
        if folder not in kept:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def removed_on_error(folder: Path) -> Iterator[None]:
    """Remove a folder where what fills it fails or is interrupted."""
    try:
        yield
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def checkpoint_folders(out: Path) -> list[Path]:
    """The checkpoints of a run, oldest first; torn ones, too."""
    return sorted((out / FOLDER).glob("step-" + "[0-9]" * 9))


def flush_to_disk(path: Path) -> None:
    """Have the system write a file or the names of a folder, in case the power fails."""
    if os.name == "nt" and path.is_dir():
        return  # folders cannot be opened there
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def digest(file: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def damage(folder: Path) -> str | None:
    """What is wrong with the files of a checkpoint, or None."""
    try:
        inside(folder.parent, folder.name)
        if not (folder / DIGESTS).is_file():
            return f"it has no {DIGESTS}"
        digests = parse_json(read_text(inside(folder, DIGESTS)))
        if not isinstance(digests, dict) or not {WEIGHTS, OPTIMIZER, STATE} <= digests.keys():
            return f"{DIGESTS} does not name its files"
        # A name of a stranger's choice could lead anywhere, or to a device without an end.
        files = {name: inside(folder, name) for name in digests}
        wrong = [
            name
            for name, file in files.items()
            if not file.is_file() or digest(file) != digests[name]
        ]
    except (OSError, ValueError) as error:
        return str(error)
    return f"{shown_name(wrong[0])} is not what was written" if wrong else None


def load_checkpoint(
    out: Path,
    model: SentenceModel,
    optimizer: torch.optim.Optimizer,
    restore_auxiliaries: Callable[[dict[str, Tensor]], None],
    warn: Callable[[str], None],
    *,
    sound: bool = False,
) -> TrainingState:
    """Fill model and optimizer from the newest whole checkpoint and return the state beside it.

    With `sound`, from the newest before which no step was skipped, where there is one. What the
    loss has of its own is handed to `restore_auxiliaries`, which raises KeyError where something
    is missing. A torn checkpoint is named to `warn` and passed over.

    Raises:
        NotFoundError: the folder has no checkpoint.
        ModelFormatError: none is whole, or the newest whole one is of another architecture.
    """
    newest = newest_whole(out, warn, sound=sound)
    optimizer.state.clear()
    try:
        copy_weights(inside(newest, WEIGHTS), model)
        restore_optimizer(read_tensors(inside(newest, OPTIMIZER)), model, optimizer)
        auxiliaries = inside(newest, AUXILIARIES)
        restore_auxiliaries(read_tensors(auxiliaries) if auxiliaries.is_file() else {})
        return read_state(inside(newest, STATE))
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise ModelFormatError(f"{newest}: damaged checkpoint: {reason(error)}") from None


def read_state(path: Path) -> TrainingState:
    """The state of a checkpoint, each of its fields of its type and within what can be.

    Raises:
        OSError, ValueError: it cannot be read, or is none.
    """
    text = read_text(path)
    parse_json(text)  # which refuses more than pydantic does
    try:
        return TypeAdapter(TrainingState).validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where, message = ".".join(map(str, first["loc"])), first["msg"]
        raise ValueError(
            f"{STATE}: {shown_name(where)} is {shown(first['input'])}: "
            f"{message[:1].lower()}{message[1:]}"
        ) from None


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a file, all of them finite float32.

    Raises:
        OSError, ValueError, SafetensorError: they are not.
    """
    for name, found in read_header(path).items():
        if found.dtype != "F32":
            raise ValueError(f"{path.name}: {shown_name(name)} is not of float32")
    tensors = load_file(path)
    for name, value in tensors.items():
        if not value.isfinite().all():
            raise ValueError(f"{path.name}: {shown_name(name)} has values that are not finite")
    return tensors


def is_sound(folder: Path) -> bool:
    """Whether a checkpoint is one to go back to: the steps just before it were not skipped."""
    try:
        return not read_state(inside(folder, STATE)).skipped_in_a_row
    except (OSError, ValueError):
        return False


def newest_whole(out: Path, warn: Callable[[str], None], *, sound: bool = False) -> Path:
    """The newest checkpoint whose digests hold; the newest `sound` one, where there is one.

    A run that was killed while it replaced a checkpoint by one of the same step leaves it under
    one of two other names.
    """
    folders = checkpoint_folders(out)
    steps = {folder.with_suffix("").name for folder in (out / FOLDER).glob("step-*")}
    named = {folder.name for folder in folders}
    replaced = [
        folder
        for step in steps - named
        for suffix in (".old", ".part")
        if ((folder := out / FOLDER / (step + suffix)) / DIGESTS).is_file()
    ]
    newest: Path | None = None
    for folder in sorted([*folders, *replaced], reverse=True):
        problem = damage(folder)
        if problem is not None:
            warn(f"{folder} is damaged ({problem}); going on from the checkpoint before it")
        elif not sound or is_sound(folder):
            return folder
        else:
            newest = newest or folder
    if newest is not None:
        return newest
    if folders:
        raise ModelFormatError(f"{out / FOLDER}: no checkpoint is whole; {ANEW}")
    raise NotFoundError(f"{out} has no checkpoint to resume from; {ANEW}")


@torch.no_grad()
def copy_weights(path: Path, model: SentenceModel) -> None:
    """Copy a weights file into the existing parameters, which an optimizer may hold."""
    own = model.saved()
    for name, value in read_weights(path, model, model.device).items():
        own[name].copy_(value)


def optimizer_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's state as `parameter/quantity` -> tensor."""
    return {
        f"{name}/{quantity}": value.detach().cpu().contiguous()
        for name, parameter in model.named_parameters()
        for quantity, value in optimizer.state.get(parameter, {}).items()
    }


def restore_optimizer(
    tensors: dict[str, Tensor], model: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    """The inverse of `optimizer_tensors`.

    Raises:
        ValueError: what is there is not the state of Adam for parameters of the model.
    """
    parameters = dict(model.named_parameters())
    for key, value in tensors.items():
        name, _, quantity = key.rpartition("/")
        parameter = parameters.get(name)
        beside = {f"{name}/{other}" for other in (*MOMENTS, "step")}
        shape = torch.Size() if quantity == "step" else getattr(parameter, "shape", None)
        least = {"step": 0.0, "exp_avg_sq": 0.0}.get(quantity, -torch.inf)
        if parameter is None or not key in beside <= tensors.keys() or value.shape != shape:
            raise ValueError(f"{shown_name(key)} is no state of this model's optimizer")
        if value.numel() and value.min() < least:
            raise ValueError(f"{shown_name(key)} holds what the optimizer cannot have written")
        # Adam keeps its step count on the CPU unless it is fused on a GPU.
        on_device = quantity != "step" or optimizer.defaults.get("fused")
        optimizer.state[parameter][quantity] = value.to(parameter.device if on_device else "cpu")
