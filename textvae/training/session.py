"""A whole training: a clean folder, the text encoded, the loop, and the model's card."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from textvae.config import Config
from textvae.data.prepare import load_corpora
from textvae.errors import UsageError
from textvae.models.device import choose_device
from textvae.models.folder import load_model, write_atomically
from textvae.training.card import model_card
from textvae.training.loop import train
from textvae.training.reporting import LoggingReporter, Reporter
from textvae.training.tracking import check_trackers

# All that textvae writes into a model's folder, and so all that --overwrite removes.
WRITTEN = (
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "experiment.toml",
    "metrics.jsonl",
    "README.md",
    "checkpoints",
    "tracking",
)
Texts = Iterable[str] | str | Path


def train_session(
    config: Config,
    out: Path,
    *,
    texts: Texts | None = None,
    valid_texts: Texts | None = None,
    reporter: Reporter | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> None:
    """Train on `texts`, or on what the configuration names, into the folder `out`.

    Raises:
        UsageError: `out` holds something and neither resume nor overwrite is asked for.
        DataError, NotFoundError: the text cannot be read.
    """
    main = is_main_process()
    reporter = reporter if reporter is not None and main else LoggingReporter()
    config, texts, valid_texts = name_sources(config, texts, valid_texts)
    check_trackers(config.training.track)
    choose_device(config.training.device)
    if main:
        open_folder(out, resume=resume, overwrite=overwrite)
    corpora = load_corpora(
        config.data, config.tokenizer, texts=texts, valid_texts=valid_texts, say=reporter.message
    )
    if main:
        write_atomically(out / "experiment.toml", config.to_toml())
    state = train(config, corpora, out, reporter=reporter, resume=resume)
    if main:
        best = load_model(out)
        card = model_card(best.model, best.tokenizer, config, corpora, state, read_metrics(out))
        write_atomically(out / "README.md", card)


def is_main_process() -> bool:
    """Whether this process writes files; a launcher of many tells each its rank."""
    return int(os.environ.get("RANK", "0")) == 0


def name_sources(
    config: Config, texts: Texts | None, valid_texts: Texts | None
) -> tuple[Config, list[str] | None, list[str] | None]:
    """Names of files go into the configuration; sentences become lists."""
    names: dict[str, Any] = {}
    if isinstance(texts, str | Path):
        names["train"], texts = (str(texts),), None
    if isinstance(valid_texts, str | Path):
        names["valid"], valid_texts = (str(valid_texts),), None
    data = config.data.model_copy(update=names)
    if texts is None and not data.train:
        raise UsageError("nothing to train on: give a file, a glob, `-`, hf:NAME or sentences")
    return (
        config.model_copy(update={"data": data}),
        None if texts is None else list(texts),
        None if valid_texts is None else list(valid_texts),
    )


def open_folder(out: Path, *, resume: bool, overwrite: bool) -> None:
    """Make `out` ready for a run, and refuse to touch what is not ours.

    Raises:
        UsageError: the folder holds something and nothing says what to do with it.
    """
    if resume and overwrite:
        raise UsageError("--resume and --overwrite contradict each other; give one of them")
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; --out needs a folder")
    if resume:
        if not (out / "checkpoints").is_dir():
            raise UsageError(f"{out} has no checkpoints to resume from; leave --resume out")
        return
    if out.is_dir() and any(out.iterdir()):
        if not overwrite:
            raise UsageError(
                f"{out} is not empty; choose another --out, or --resume, or --overwrite"
            )
        if not is_ours(out):
            raise UsageError(
                f"{out} holds no textvae model, so --overwrite does not touch it; "
                "choose another --out"
            )
        for name in WRITTEN:
            remove(out / name)
    out.mkdir(parents=True, exist_ok=True)


def is_ours(out: Path) -> bool:
    """Whether a folder holds a textvae model or the beginning of one."""
    try:
        description = json.loads((out / "config.json").read_text(encoding="utf-8"))
        return isinstance(description, dict) and description.get("model_type") == "textvae"
    except (OSError, ValueError):
        return (out / "experiment.toml").is_file() and (out / "metrics.jsonl").is_file()


def remove(path: Path) -> None:
    """Delete a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def read_metrics(out: Path) -> list[dict[str, Any]]:
    """The records of metrics.jsonl."""
    path = out / "metrics.jsonl"
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
