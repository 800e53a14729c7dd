"""The folder of a run: what may be in it before a run starts, and what a run writes into it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from textvae.config import Config
from textvae.data.cache import holds_cache
from textvae.errors import TextVAEError, UsageError, flag, is_utf8, option, shown
from textvae.files.atomic import half_written
from textvae.files.lock import LOCK_FILE
from textvae.files.names import (
    BACKBONES_FOLDER,
    CARD_FILE,
    CHECKPOINTS_FOLDER,
    CONFIG_FILE,
    CURVES_FILE,
    ENCODER_TOKENIZER_FILE,
    EXPERIMENT_FILE,
    METRICS_FILE,
    PRIOR_FILE,
    TOKENIZER_FILE,
    TRACKING_FOLDER,
    WEIGHTS_FILE,
)
from textvae.files.untrusted import parse_json, read_text
from textvae.saving.folder import own_file
from textvae.training.state import start_again

# All that textvae writes into a model's folder, and so all that --overwrite removes. The two files
# that mark the folder as ours come last, in case the program ends meanwhile.
WRITTEN = (
    WEIGHTS_FILE,
    TOKENIZER_FILE,
    ENCODER_TOKENIZER_FILE,
    PRIOR_FILE,
    METRICS_FILE,
    CURVES_FILE,
    BACKBONES_FOLDER,
    CARD_FILE,
    CHECKPOINTS_FOLDER,
    TRACKING_FOLDER,
    BACKBONES_FOLDER,
    CONFIG_FILE,
    EXPERIMENT_FILE,
)


def check_folder(
    out: Path, *, resume: bool, overwrite: bool, but: frozenset[Path] = frozenset()
) -> None:
    """Refuse a run in `out` that would lose something or touch files that are not ours.

    Paths in `but` are ignored.

    Raises:
        UsageError: the folder is not empty, and neither `resume` nor `overwrite` fits.
    """
    place = flag("out")
    if resume and overwrite:
        raise UsageError(
            f"{option('resume', True)} and {option('overwrite', True)} contradict each other; "
            "give one of them"
        )
    if not is_utf8(str(out)):  # which safetensors does not open
        raise UsageError(f"{shown(str(out))}: not valid UTF-8; choose another {place}")
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; {place} needs a folder")
    if resume:
        check_resumable(out)
    elif holds(out, but):
        if not overwrite:
            raise UsageError(
                f"{out} is not empty; choose another {place}, or {option('resume', True)}, or "
                f"{option('overwrite', True)}"
            )
        if not is_ours(out):
            raise UsageError(
                f"{out} holds no textvae model, so {option('overwrite', True)} leaves it "
                f"alone; choose another {place}"
            )


def check_resumable(out: Path) -> None:
    """Raise UsageError if there is no run to resume in `out`, or another file in a file's place."""
    if not holds(out) or not (out / CHECKPOINTS_FOLDER).is_dir():
        instead = start_again() if holds(out) else f"leave {flag('resume')} out"
        raise UsageError(f"{out} has no checkpoints to resume from; {instead}")
    for name in WRITTEN:
        place = own_file(out, name)  # a file that is written must not be a link to elsewhere
        if place.exists() and not (place.is_file() or place.is_dir()):
            raise UsageError(f"{place} is neither a file nor a folder; remove it")


def prepare_folder(out: Path, *, resume: bool) -> None:
    """Make the folder, without the files of an earlier run unless that is resumed."""
    if not resume:
        for name in WRITTEN:
            remove(out / name)
    out.mkdir(parents=True, exist_ok=True)
    for path in unfinished(out):
        path.unlink(missing_ok=True)


def holds(out: Path, but: frozenset[Path] = frozenset()) -> bool:
    """True if a folder holds more than a run leaves that ended before it saved anything."""
    if not out.is_dir():
        return False
    found = {*out.iterdir()} - {out / LOCK_FILE, *unfinished(out)} - but
    metrics, checkpoints = out / METRICS_FILE, out / CHECKPOINTS_FOLDER
    if metrics.is_file() and not metrics.stat().st_size:  # made after experiment.toml
        found -= {metrics, out / EXPERIMENT_FILE}
        if checkpoints.is_dir() and not any(checkpoints.iterdir()):
            found.remove(checkpoints)
    return bool(found)


def cached_in(out: Path, cache_dir: str | Path | None) -> frozenset[Path]:
    """The paths of the cache in the folder of a run, if `cache_dir` is there."""
    if not out.is_dir():
        return frozenset()
    return frozenset(path for path in out.iterdir() if holds_cache(path, cache_dir))


def unfinished(out: Path) -> list[Path]:
    """The files that a killed run was writing."""
    return list(half_written(out, "|".join(map(re.escape, WRITTEN))))


def is_ours(out: Path) -> bool:
    """True if a folder holds a textvae model or the beginning of one."""
    try:
        description = parse_json(read_text(regular_file(out / CONFIG_FILE)))
        return isinstance(description, dict) and description.get("model_type") == "textvae"
    except (OSError, ValueError):
        pass
    try:  # a run that ended before its first evaluation
        Config.resolve(file=regular_file(out / EXPERIMENT_FILE))
        return True
    except (OSError, TextVAEError):
        return False


def regular_file(path: Path) -> Path:
    """`path`, if it is a regular file: opening a pipe would wait for its other end.

    Raises:
        FileNotFoundError: it is not.
    """
    if not path.is_file():
        raise FileNotFoundError(path)
    return path


def remove(path: Path) -> None:
    """Delete a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
