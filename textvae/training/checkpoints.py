"""Checkpoints: all that a resumed run needs to continue bit for bit, as safetensors and JSON.

A checkpoint is a folder of files and their digests, written under another name and then renamed.
A folder whose digests match is complete, whatever its name is.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from textvae.errors import ModelFormatError, NotFoundError
from textvae.files.atomic import naming
from textvae.files.names import CHECKPOINTS_FOLDER
from textvae.files.tensor_header import read_header
from textvae.files.untrusted import inside, parse_json, read_text, reason, shown_name
from textvae.models.sentence import SentenceModel
from textvae.saving.folder import read_weights, write_weights
from textvae.training.state import TrainingState, read_state, start_again

WEIGHTS, OPTIMIZER, STATE = "weights.safetensors", "optimizer.safetensors", "state.json"
AUXILIARIES = "auxiliaries.safetensors"  # of the loss, where it has parameters of its own
DIGESTS = "sha256.json"  # of the other files; written last
MOMENTS = ("exp_avg", "exp_avg_sq")  # of Adam, beside its count of steps


def save_checkpoint(
    out: Path,
    model: SentenceModel,
    optimizer: torch.optim.Optimizer,
    state: TrainingState,
    auxiliaries: dict[str, Tensor],
    *,
    keep: int,
) -> None:
    """Write checkpoints/step-N under another name, rename it, and keep the newest `keep` only.

    At any moment the newest checkpoint, or the one before it, is complete. An error leaves the
    existing checkpoints as they were. Damaged checkpoints of later steps are removed. If the last
    steps were skipped, the newest checkpoint that a run can go back to is kept, too.

    Raises:
        OSError: the checkpoint cannot be written; the error names it.
    """
    final = out / CHECKPOINTS_FOLDER / f"step-{state.step:09d}"
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
    for folder in (out / CHECKPOINTS_FOLDER).glob("step-*"):
        if folder not in kept:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def removed_on_error(folder: Path) -> Iterator[None]:
    """Remove a folder if the code within this context fails or is interrupted."""
    try:
        yield
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def checkpoint_folders(out: Path) -> list[Path]:
    """The checkpoints of a run, oldest first; damaged ones included."""
    return sorted((out / CHECKPOINTS_FOLDER).glob("step-" + "[0-9]" * 9))


def flush_to_disk(path: Path) -> None:
    """Flush a file, or the names in a folder, to the disk, in case the power fails."""
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
    """What is wrong with the files of a checkpoint; None if they are complete."""
    try:
        inside(folder.parent, folder.name)
        if not (folder / DIGESTS).is_file():
            return f"it has no {DIGESTS}"
        digests = parse_json(read_text(inside(folder, DIGESTS)))
        if not isinstance(digests, dict) or not {WEIGHTS, OPTIMIZER, STATE} <= digests.keys():
            return f"{DIGESTS} does not name its files"
        # An untrusted name could lead anywhere, or to a device without an end.
        files = {name: inside(folder, name) for name in digests}
        wrong = [
            name
            for name, file in files.items()
            if not file.is_file() or digest(file) != digests[name]
        ]
    except (OSError, ValueError) as error:
        return str(error)
    return f"{shown_name(wrong[0])} does not match its digest" if wrong else None


def load_checkpoint(
    out: Path,
    model: SentenceModel,
    optimizer: torch.optim.Optimizer,
    restore_auxiliaries: Callable[[dict[str, Tensor]], None],
    warn: Callable[[str], None],
    *,
    sound: bool = False,
) -> TrainingState:
    """The state of the newest complete checkpoint, which also fills model and optimizer.

    With `sound`, the newest checkpoint before which no step was skipped, if there is one. The
    tensors of the loss's own modules go to `restore_auxiliaries`, which raises KeyError if one is
    missing. Damaged checkpoints are skipped with a warning.

    Raises:
        NotFoundError: the folder has no checkpoint.
        ModelFormatError: no checkpoint is complete, or the newest complete one is of another
            architecture or of another format.
    """
    newest = newest_whole(out, warn, sound=sound)
    optimizer.state.clear()
    try:
        state = read_state(inside(newest, STATE))
        copy_weights(inside(newest, WEIGHTS), model)
        restore_optimizer(read_tensors(inside(newest, OPTIMIZER)), model, optimizer)
        auxiliaries = inside(newest, AUXILIARIES)
        restore_auxiliaries(read_tensors(auxiliaries) if auxiliaries.is_file() else {})
        return state
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise ModelFormatError(f"{newest}: damaged checkpoint: {reason(error)}") from None


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a file, all finite and of float32.

    Raises:
        OSError, ValueError, SafetensorError: the file cannot be read, or holds other tensors.
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
    """True if a run can go back to this checkpoint: the step just before it was not skipped."""
    try:
        return not read_state(inside(folder, STATE)).skipped_in_a_row
    except (OSError, ValueError, ModelFormatError):
        return False


def newest_whole(out: Path, warn: Callable[[str], None], *, sound: bool = False) -> Path:
    """The newest checkpoint whose digests match; the newest `sound` one, if there is one.

    A run that was killed while it replaced a checkpoint of the same step leaves it under one of
    two other names.
    """
    folders = checkpoint_folders(out)
    steps = {folder.with_suffix("").name for folder in (out / CHECKPOINTS_FOLDER).glob("step-*")}
    named = {folder.name for folder in folders}
    replaced = [
        folder
        for step in steps - named
        for suffix in (".old", ".part")
        if ((folder := out / CHECKPOINTS_FOLDER / (step + suffix)) / DIGESTS).is_file()
    ]
    newest: Path | None = None
    for folder in sorted([*folders, *replaced], reverse=True):
        problem = damage(folder)
        if problem is not None:
            warn(f"{folder} is damaged ({problem}); using the checkpoint before it")
        elif not sound or is_sound(folder):
            return folder
        else:
            newest = newest or folder
    if newest is not None:
        return newest
    if folders:
        raise ModelFormatError(
            f"{out / CHECKPOINTS_FOLDER}: no checkpoint is complete; {start_again()}"
        )
    raise NotFoundError(f"{out} has no checkpoint to resume from; {start_again()}")


@torch.no_grad()
def copy_weights(path: Path, model: SentenceModel) -> None:
    """Copy a weights file into the parameters of `model`, in place: an optimizer may hold them."""
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
        ValueError: `tensors` are not the state of Adam for parameters of the model.
    """
    parameters = dict(model.named_parameters())
    for key, value in tensors.items():
        name, _, quantity = key.rpartition("/")
        parameter = parameters.get(name)
        beside = {f"{name}/{other}" for other in (*MOMENTS, "step")}
        shape = torch.Size() if quantity == "step" else getattr(parameter, "shape", None)
        least = {"step": 0.0, "exp_avg_sq": 0.0}.get(quantity, -torch.inf)
        if parameter is None or not key in beside <= tensors.keys() or value.shape != shape:
            raise ValueError(f"{shown_name(key)} is not part of this model's optimizer state")
        if value.numel() and value.min() < least:
            raise ValueError(f"{shown_name(key)} has values that the optimizer cannot have written")
        # Adam keeps its step count on the CPU unless it is fused on a GPU.
        on_device = quantity != "step" or optimizer.defaults.get("fused")
        optimizer.state[parameter][quantity] = value.to(parameter.device if on_device else "cpu")
