"""A whole training: a clean folder, the text encoded, the loop, and the model's card."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from textvae.config import Config, ModelConfig, TokenizerConfig
from textvae.data.cache import holds_cache
from textvae.data.prepare import Corpora, load_corpora
from textvae.data.tokenizers import Tokenizer
from textvae.errors import DataError, NotFoundError, TextVAEError, UsageError, is_utf8, shown
from textvae.files.atomic import check_writable, half_written
from textvae.files.lock import LOCK_FILE, check_not_training, sole_training
from textvae.files.untrusted import parse_json, read_text
from textvae.saving.folder import (
    CONFIG_FILE,
    load_model,
    own_file,
    read_metrics,
    write_atomically,
)
from textvae.saving.manifest import ENCODER_TOKENIZER_FILE, TOKENIZER_FILE
from textvae.training.card import model_card
from textvae.training.checkpoints import ANEW, FOLDER, TrainingState
from textvae.training.loop import train
from textvae.training.reporting import METRICS_FILE, LoggingReporter, Reporter
from textvae.training.runtime import accelerator_for
from textvae.training.tracking import check_trackers

EXPERIMENT_FILE = "experiment.toml"
# All that textvae writes into a model's folder, and so all that --overwrite removes: last what
# tells that the folder is ours, should the program end meanwhile.
WRITTEN = (
    "model.safetensors",
    "tokenizer.json",
    "encoder_tokenizer.json",
    "metrics.jsonl",
    "README.md",
    "checkpoints",
    "tracking",
    CONFIG_FILE,
    EXPERIMENT_FILE,
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
    if main:  # now, and not when all the text is encoded
        check_not_training(out)
        check_folder(out, resume=resume, overwrite=overwrite)
        root = out.absolute()
        check_writable(next(p for p in (root, *root.parents) if p.is_dir()), out)
    if resume:
        check_unchanged(out, config)
    with accelerator_for(config.training) as accelerator:
        with accelerator.main_process_first():  # the others find the encoded corpus in the cache
            corpora = load_corpora(
                config.data,
                config.tokenizer,
                texts=texts,
                valid_texts=valid_texts,
                own_tokenizer=tokenizer_of(out, TOKENIZER_FILE) if resume else None,
                own_encoder_tokenizer=(
                    tokenizer_of(out, ENCODER_TOKENIZER_FILE) if resume else None
                ),
                say=reporter.message,
                warn=reporter.warn,
            )
        tell_losses(corpora, config, reporter)
        with sole_training(out) if main else nullcontext():
            if main:  # again: another training may have been here meanwhile
                mine = config.data.cache_dir
                check_folder(out, resume=resume, overwrite=overwrite, but=cached_in(out, mine))
                prepare_folder(out, resume=resume)
            state = train(config, corpora, out, accelerator, reporter=reporter, resume=resume)
            if main:
                write_card(out, config, corpora, state)


def tokenizer_of(out: Path, name: str) -> Tokenizer | None:
    """The tokenizer in a file of a model's folder; None if there is none that can be read."""
    try:
        return Tokenizer.load(own_file(out, name))
    except (NotFoundError, DataError):  # the same text gives the same one again
        return None


def write_card(out: Path, config: Config, corpora: Corpora, state: TrainingState) -> None:
    """Describe the saved model beside it."""
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
    """Names of files from the root, so that a run can be resumed from another folder."""
    return tuple(
        spec if spec == "-" or spec.startswith("hf:") else os.path.abspath(spec) for spec in specs
    )


def tell_losses(corpora: Corpora, config: Config, reporter: Reporter) -> None:
    """Warn about sentences that were cut or dropped, and about blank lines."""
    for name, corpus in (("training", corpora.train), ("validation", corpora.valid)):
        losses = {
            f"cut to {config.data.max_tokens} tokens": corpus.n_cut,
            f"dropped for more than {config.data.max_tokens} tokens": corpus.n_dropped,
            "blank and left out": corpus.n_blank,
        }
        said = [f"{count:,} {what}" for what, count in losses.items() if count]
        if said:
            reporter.warn(f"{name} sentences: {', '.join(said)}")


def cached_in(out: Path, cache_dir: str | Path | None) -> frozenset[Path]:
    """What there is of the cache, where it was chosen to lie in the folder of a run."""
    if not out.is_dir():
        return frozenset()
    return frozenset(path for path in out.iterdir() if holds_cache(path, cache_dir))


def check_folder(
    out: Path, *, resume: bool, overwrite: bool, but: frozenset[Path] = frozenset()
) -> None:
    """Refuse a run in `out` that would lose something or touch what is not ours.

    What stands in `but` is passed over.

    Raises:
        UsageError: the folder holds something and nothing says what to do with it.
    """
    if resume and overwrite:
        raise UsageError("--resume and --overwrite contradict each other; give one of them")
    if not is_utf8(str(out)):  # which safetensors does not open
        raise UsageError(f"{shown(str(out))}: not valid UTF-8; choose another --out")
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; --out needs a folder")
    if resume:
        if not holds(out) or not (out / FOLDER).is_dir():
            instead = ANEW if holds(out) else "leave --resume out"
            raise UsageError(f"{out} has no checkpoints to resume from; {instead}")
        for name in WRITTEN:
            place = own_file(out, name)  # what goes on being written must not lie elsewhere
            if place.exists() and not (place.is_file() or place.is_dir()):
                raise UsageError(f"{place} is neither a file nor a folder; remove it")
        return
    if holds(out, but):
        if not overwrite:
            raise UsageError(
                f"{out} is not empty; choose another --out, or --resume, or --overwrite"
            )
        if not is_ours(out):
            raise UsageError(
                f"{out} holds no textvae model, so --overwrite does not touch it; "
                "choose another --out"
            )


def holds(out: Path, but: frozenset[Path] = frozenset()) -> bool:
    """Whether there is more in a folder than a run leaves that ended before it saved anything."""
    if not out.is_dir():
        return False
    found = {*out.iterdir()} - {out / LOCK_FILE, *unfinished(out)} - but
    metrics, checkpoints = out / METRICS_FILE, out / FOLDER
    if metrics.is_file() and not metrics.stat().st_size:  # made after experiment.toml
        found -= {metrics, out / EXPERIMENT_FILE}
        if checkpoints.is_dir() and not any(checkpoints.iterdir()):
            found.remove(checkpoints)
    return bool(found)


# What a run cannot take up, or give up, half way: phases, and what the loss has of its own.
METHOD = (
    "importance_samples",
    "bag_of_words_weight",
    "mmd_weight",
    "contrastive_weight",
    "adversarial_weight",
    "pretrain_share",
    "reset_decoder",
    "aggressive",
)


def check_unchanged(out: Path, config: Config) -> None:
    """Raise UsageError where a resumed run is asked for other sizes or another method."""
    own = Config.resolve(file=out / EXPERIMENT_FILE)
    sizes = {name for name in ModelConfig.model_fields if not name.endswith("dropout")}
    for before, after, fixed in (
        (own.model, config.model, sizes),
        (own.tokenizer, config.tokenizer, TokenizerConfig.model_fields.keys()),
        (own.objective, config.objective, METHOD),
    ):
        for name in type(before).model_fields:
            if name in fixed and getattr(after, name) != getattr(before, name):
                raise UsageError(
                    f"--resume: {name} is {getattr(after, name)}, the run in {out} has "
                    f"{getattr(before, name)}; leave it out, or train anew in another --out"
                )


def prepare_folder(out: Path, *, resume: bool) -> None:
    """An existing folder without what an earlier run wrote, unless that is resumed."""
    if not resume:
        for name in WRITTEN:
            remove(out / name)
    out.mkdir(parents=True, exist_ok=True)
    for path in unfinished(out):
        path.unlink(missing_ok=True)


def unfinished(out: Path) -> list[Path]:
    """What a killed run was writing."""
    return list(half_written(out, "|".join(map(re.escape, WRITTEN))))


def is_ours(out: Path) -> bool:
    """Whether a folder holds a textvae model or the beginning of one."""
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
    """`path`, where it is a file; to open a pipe would be to wait for its other end.

    Raises:
        FileNotFoundError: it is none.
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
