"""A whole training: check the folder, encode the text, run the loop, write the model card."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from textvae.config import Config
from textvae.data.prepare import Corpora, load_corpora
from textvae.errors import UsageError, is_utf8, shown
from textvae.files.atomic import check_writable
from textvae.files.lock import check_not_training, sole_training
from textvae.files.names import CARD_FILE, ENCODER_TOKENIZER_FILE, TOKENIZER_FILE
from textvae.progress import Watcher
from textvae.saving.folder import load_model, read_metrics, write_atomically
from textvae.training.accelerator import accelerator_for
from textvae.training.card import model_card
from textvae.training.loop import training_loop
from textvae.training.processes import Processes
from textvae.training.reporting import LoggingReporter, Reporter
from textvae.training.resume import check_unchanged, tokenizer_of
from textvae.training.run_folder import cached_in, check_folder, prepare_folder
from textvae.training.state import TrainingState
from textvae.training.tracking import check_trackers

Texts = Iterable[str] | str | Path


def train_model(
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
        UsageError: `out` is not empty, and neither `resume` nor `overwrite` is set.
        DataError, NotFoundError: the text cannot be read.
    """
    main = is_main_process()
    reporter = reporter if reporter is not None and main else LoggingReporter()
    config, texts, valid_texts = name_sources(config, texts, valid_texts)
    check_trackers(config.training.track)
    if main:  # now, and not when all the text is encoded
        check_not_training(out)
        check_folder(out, resume=resume, overwrite=overwrite)
        root = out.absolute()
        check_writable(next(p for p in (root, *root.parents) if p.is_dir()), out)
    if resume:
        check_unchanged(out, config)
    with accelerator_for(config.training) as accelerator:
        with Processes(accelerator).main_first():  # the others find the encoded corpus in the cache
            corpora = load_corpora(
                config.data,
                config.tokenizer,
                texts=texts,
                valid_texts=valid_texts,
                own_tokenizer=tokenizer_of(out, TOKENIZER_FILE) if resume else None,
                own_encoder_tokenizer=(
                    tokenizer_of(out, ENCODER_TOKENIZER_FILE) if resume else None
                ),
                watcher=Watcher(reporter.message, reporter.warn, reporter.progress),
            )
        warn_of_losses(corpora, config, reporter)
        with sole_training(out) if main else nullcontext():
            if main:  # again: another training may have been here meanwhile
                mine = config.data.cache_dir
                check_folder(out, resume=resume, overwrite=overwrite, but=cached_in(out, mine))
                prepare_folder(out, resume=resume)
            state = training_loop(
                config, corpora, out, accelerator, reporter=reporter, resume=resume
            )
            if main:
                write_card(out, config, corpora, state)


def write_card(out: Path, config: Config, corpora: Corpora, state: TrainingState) -> None:
    """Describe the saved model beside it."""
    best = load_model(out)
    card = model_card(best.model, best.tokenizer, config, corpora, state, read_metrics(out))
    write_atomically(out / CARD_FILE, card)


def is_main_process() -> bool:
    """True if this process writes the files; a launcher of several sets RANK for each."""
    return int(os.environ.get("RANK", "0")) == 0


def name_sources(
    config: Config, texts: Texts | None, valid_texts: Texts | None
) -> tuple[Config, list[str] | None, list[str] | None]:
    """The configuration with the names of files in it, and sentences as lists.

    Raises:
        UsageError: there is nothing to train on, or it cannot be read again.
    """
    names: dict[str, Any] = {}
    if not is_utf8(os.path.abspath(os.curdir)):
        raise UsageError(
            f"the name of the folder {shown(os.path.abspath(os.curdir))} is not valid UTF-8, and "
            "experiment.toml could not hold it; start from another folder"
        )
    if isinstance(texts, str | Path):
        names["train"], texts = (str(texts),), None
    if isinstance(valid_texts, str | Path):
        names["valid"], valid_texts = (str(valid_texts),), None
    Config.validate_values({"data": names}, where="texts")
    data = config.data.model_copy(update=names)
    if texts is None and not data.train:
        raise UsageError("nothing to train on: give a file, a glob, `-`, hf:NAME or sentences")
    if "-" in (*data.train, *data.valid) and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError("`-` can be read by one process only; give several processes a file")
    data = data.model_copy(update={"train": absolute(data.train), "valid": absolute(data.valid)})
    return (
        config.model_copy(update={"data": data}),
        None if texts is None else list(texts),
        None if valid_texts is None else list(valid_texts),
    )


def absolute(specs: tuple[str, ...]) -> tuple[str, ...]:
    """Absolute paths, so that a run can be resumed from another folder."""
    return tuple(
        spec if spec == "-" or spec.startswith("hf:") else os.path.abspath(spec) for spec in specs
    )


def warn_of_losses(corpora: Corpora, config: Config, reporter: Reporter) -> None:
    """Warn about sentences that were truncated or dropped, and about blank lines."""
    for name, corpus in (("training", corpora.train), ("validation", corpora.valid)):
        losses = {
            f"truncated to {config.data.max_tokens} tokens": corpus.n_cut,
            f"dropped as longer than {config.data.max_tokens} tokens": corpus.n_dropped,
            "blank and skipped": corpus.n_blank,
        }
        said = [f"{count:,} {what}" for what, count in losses.items() if count]
        if said:
            reporter.warn(f"{name} sentences: {', '.join(said)}")
