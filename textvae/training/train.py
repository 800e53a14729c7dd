"""A whole training: check the folder, encode the text, run the loop, write the model card."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path

from textvae.config import Config
from textvae.data.prepare import Corpora, load_corpora
from textvae.files.atomic import check_writable
from textvae.files.home import home_path
from textvae.files.lock import check_not_training, sole_training
from textvae.files.names import CARD_FILE
from textvae.models.build import find_references
from textvae.progress import Watcher
from textvae.saving.folder import load_model, read_metrics, write_atomically
from textvae.training.accelerator import accelerator_for
from textvae.training.card import model_card
from textvae.training.loop import training_loop
from textvae.training.processes import Processes
from textvae.training.reporting import LoggingReporter, Reporter
from textvae.training.resume_checks import (
    check_backbones,
    check_unchanged,
    own_classes,
    own_tokenizers,
)
from textvae.training.run import TrainingRun
from textvae.training.run_folder import cached_in, check_folder, prepare_folder
from textvae.training.sources import (
    Texts,
    check_not_moved,
    name_sources,
    with_their_tokenizers,
)
from textvae.training.state import TrainingState
from textvae.training.text_size import few_sentences
from textvae.training.threads import take_free_cores
from textvae.training.tracking import check_trackers


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
    main, out = is_main_process(), home_path(out)
    reporter = reporter if reporter is not None and main else LoggingReporter()
    if main and resume:
        check_folder(out, resume=resume, overwrite=overwrite)
    config, texts, valid_texts = name_sources(config, texts, valid_texts)
    given = {"train": texts, "valid": valid_texts}
    in_memory = [name for name in given if given[name] is not None]
    check_trackers(config.training.track)
    if main:  # now, and not when all the text is encoded
        check_not_training(out)
        check_folder(out, resume=resume, overwrite=overwrite)
        root = out.absolute()
        check_writable(next(p for p in (root, *root.parents) if p.is_dir()), out)
    if resume:
        check_unchanged(out, config)
        check_not_moved(config.data, out, in_memory)
    references = find_references(config.model)
    if resume:
        check_backbones(out, references)
    written, read = own_tokenizers(out) if resume else (None, None)
    with accelerator_for(config.training) as accelerator:
        with Processes(accelerator).main_first():  # the others find the encoded corpus in the cache
            corpora = load_corpora(
                config.data,
                with_their_tokenizers(config.tokenizer, references),
                texts=texts,
                valid_texts=valid_texts,
                own_tokenizer=written,
                own_encoder_tokenizer=read,
                watcher=Watcher(reporter.message, reporter.warn, reporter.progress),
            )
        if not resume:  # now that what writes the text, and the encoding of it, have ended
            take_free_cores(config.training, accelerator.device, reporter.message)
        warn_of_losses(corpora, config, reporter)
        few = few_sentences(len(corpora.train), config.model)
        if few is not None and not resume:
            reporter.warn(few)
        with sole_training(out) if main else nullcontext():
            if main:  # again: another training may have been here meanwhile
                mine = config.data.cache_dir
                check_folder(out, resume=resume, overwrite=overwrite, but=cached_in(out, mine))
            # Its parts are built before an earlier model is deleted: not all settings fit them.
            run = TrainingRun(
                config,
                corpora,
                out,
                accelerator,
                reporter,
                in_memory=in_memory,
                references=references,
                own_classes=own_classes(out) if resume else None,
            )
            if main:
                prepare_folder(out, resume=resume)
            state = training_loop(run, resume=resume)
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
