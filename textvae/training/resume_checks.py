"""Checks before a run is resumed: what must be as it was, and how to tell a person to resume.

The state itself is read by `checkpoints` and described in `state`.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path

from textvae.config import Config
from textvae.config.schema import FIXED_ON_RESUME, SECTIONS
from textvae.data.tokenizers import Tokenizer
from textvae.errors import DataError, NotFoundError, UsageError, flag, option, worded
from textvae.files.names import (
    CONFIG_FILE,
    ENCODER_TOKENIZER_FILE,
    EXPERIMENT_FILE,
    TOKENIZER_FILE,
)
from textvae.models.pretrained.reference import Reference
from textvae.saving.folder import own_file
from textvae.saving.manifest import read_description
from textvae.training.state import TrainingState, start_again


def check_unchanged(out: Path, config: Config) -> None:
    """Raise UsageError if `config` changes a field that is fixed for the run in `out`."""
    own = Config.resolve(file=out / EXPERIMENT_FILE)
    for section, fields in SECTIONS.items():
        before, after = getattr(own, section), getattr(config, section)
        for name, field in fields.model_fields.items():
            if FIXED_ON_RESUME not in field.metadata:
                continue
            if getattr(after, name) != getattr(before, name):
                raise UsageError(
                    f"{option('resume', True)}: {name} is {getattr(after, name)}, the run in {out} "
                    f"has {getattr(before, name)}; leave it out, or start a new run in another "
                    f"{flag('out')}"
                )


def check_backbones(out: Path, references: Mapping[str, Reference]) -> None:
    """Raise DataError if a pretrained model is no longer the one that the run in `out` saved.

    A run that has not saved a model yet is not checked.
    """
    if not own_file(out, CONFIG_FILE).is_file():
        return
    found = read_description(own_file(out, CONFIG_FILE))
    for part, reference in references.items():
        described = found.get(part)
        backbone = described.get("backbone") if isinstance(described, dict) else None
        before = backbone.get("digest") if isinstance(backbone, dict) else None
        if before is not None and before != reference.digest:
            raise DataError(
                f"{out}: the files of the pretrained {part} {reference.ref} are not those that "
                f"this run started with; restore them, or {start_again()}"
            )


def check_text(
    out: Path, state: TrainingState, corpus: str, tokenizer: str, warn: Callable[[str], None]
) -> None:
    """Compare the text and tokenizer of a resumed run, by fingerprint, with those it had.

    Raises:
        DataError: the tokenizer is another one, so the weights mean nothing for its ids.
    """
    if state.tokenizer != tokenizer:
        raise DataError(
            f"{out}: its tokenizer is not the one that this run started with; restore its "
            f"tokenizer.json or the text, or {start_again()}"
        )
    if state.corpus != corpus:
        warn(
            "the text differs from the text that this run started with; the run continues with the "
            "new text and its own tokenizer, and no longer equals one uninterrupted run"
        )


def tokenizer_of(out: Path, name: str) -> Tokenizer | None:
    """The tokenizer in a file of a model's folder; None if there is none that can be read."""
    try:
        return Tokenizer.load(own_file(out, name))
    except (NotFoundError, DataError):  # the same text gives the same one again
        return None


def own_tokenizers(out: Path) -> tuple[Tokenizer | None, Tokenizer | None]:
    """The decoder's and the encoder's tokenizer of a model's folder; one file may serve both."""
    written = tokenizer_of(out, TOKENIZER_FILE)
    read = tokenizer_of(out, ENCODER_TOKENIZER_FILE)
    with suppress(NotFoundError, OSError, ValueError, KeyError, TypeError, RecursionError):
        described = json.loads(own_file(out, CONFIG_FILE).read_bytes())
        if described["encoder"]["tokenizer"] == TOKENIZER_FILE:
            read = written
    return written, read


def how_to_resume(config: Config, out: Path, in_memory: Collection[str] = ()) -> str:
    """The command or the call that resumes the run in a folder.

    Args:
        in_memory: fields of `config.data` that sentences in memory replace.
    """
    if in_memory:
        given = {"train": "THE_SAME_TEXT, ", "valid": "valid=THE_SAME_VALIDATION_TEXT, "}
        sentences = "".join(text for field, text in given.items() if field in in_memory)
        return f"TextVAE.train({sentences}out={str(out)!r}, resume=True)"
    piped = "-" in (*config.data.train, *config.data.valid)
    return worded(
        f"textvae train --resume --out {shlex.quote(str(out))}"
        + (" < THE_SAME_TEXT" if piped else ""),
        f"TextVAE.train(out={str(out)!r}, resume=True)"
        + (" with THE_SAME_TEXT on stdin" if piped else ""),
    )
