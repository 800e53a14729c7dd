"""Trainings of a whole configuration, and what they would take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from textvae.config import Config
from textvae.progress import Say, silent

if TYPE_CHECKING:
    from textvae.training.reporting import Reporter


def train(
    config: Config, out: Path, *, reporter: Reporter, resume: bool = False, overwrite: bool = False
) -> None:
    """Train what a configuration describes into the folder `out`; see `TextVAE.train`."""
    from textvae.training.train import train_model

    train_model(config, out, reporter=reporter, resume=resume, overwrite=overwrite)


def plan(config: Config, *, say: Say = silent, warn: Say = silent) -> dict[str, Any]:
    """What the training of a configuration would take: parameters, tokens, memory, minutes."""
    from textvae.training.dry_run import dry_run

    return dry_run(config, say=say, warn=warn)
