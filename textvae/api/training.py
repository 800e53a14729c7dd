"""Trainings of a whole configuration, and what they would take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from textvae.config import Config
from textvae.progress import Watcher
from textvae.progress.bars import shows_progress

if TYPE_CHECKING:
    from textvae.training.reporting import Reporter


def train(
    config: Config, out: Path, *, reporter: Reporter, resume: bool = False, overwrite: bool = False
) -> None:
    """Train what a configuration describes into the folder `out`; see `TextVAE.train`."""
    from textvae.training.train import train_model

    train_model(config, out, reporter=reporter, resume=resume, overwrite=overwrite)


@shows_progress
def plan(config: Config, *, watcher: Watcher | None = None) -> dict[str, Any]:
    """What the training of a configuration would take: parameters, tokens, memory, minutes."""
    from textvae.training.dry_run import dry_run

    return dry_run(config, watcher)
