"""`train --dry-run`: the cost of a training, measured on a few of its steps."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import psutil  # comes with accelerate
import torch

from textvae.config import Config
from textvae.data.batches import Batch
from textvae.data.prepare import load_corpora
from textvae.models.build import find_references
from textvae.progress import Watcher
from textvae.training.accelerator import accelerator_for, synchronize
from textvae.training.loop import train_step
from textvae.training.reporting import LoggingReporter
from textvae.training.run import TrainingRun
from textvae.training.sources import name_sources, with_their_tokenizers
from textvae.training.stored_vectors import is_stored, sentences_per_second
from textvae.training.threads import take_free_cores

WARM_UP_STEPS = 3
MEASURED_STEPS = 1_000
MEASURED_SECONDS = 3.0


def dry_run(config: Config, watcher: Watcher | None = None) -> dict[str, Any]:
    """Parameters, tokens an epoch, speed, memory and time of the training of `config`.

    The text is read and encoded as for a training, and stays in the cache. Some steps are run, and
    their weights thrown away. Memory is that of the process, or the peak of the GPU.
    """
    config, _, _ = name_sources(config, None, None)
    references = find_references(config.model)
    tokenizer = with_their_tokenizers(config.tokenizer, references)
    watcher = watcher or Watcher()
    corpora = load_corpora(config.data, tokenizer, watcher=watcher)
    with (
        accelerator_for(config.training) as accelerator,
        tempfile.TemporaryDirectory(prefix="textvae-") as nowhere,
    ):
        take_free_cores(config.training, accelerator.device, watcher.note)
        run = TrainingRun(
            config,
            corpora,
            Path(nowhere),
            accelerator,
            LoggingReporter(),
            references=references,
            is_rehearsal=True,
        )
        sentences_per_second = measure_speed(run)
        device = run.device
        parameters = sum(parameter.numel() for parameter in run.model.parameters())
        trained = sum(parameter.numel() for _, parameter in run.model.trained())
        encoding = encoding_figures(run)
        steps_per_epoch, limits = run.plan.steps_per_epoch, run.limits
    epoch_seconds = len(corpora.train) / sentences_per_second
    seconds = limits.seconds
    if limits.steps is not None:
        needed = limits.steps / steps_per_epoch * epoch_seconds
        seconds = needed if seconds is None else min(needed, seconds)
    assert seconds is not None  # a run has a limit of steps, of seconds or both
    return {
        "model": config.model.model,
        "parameters": parameters,
        **({"trained_parameters": trained} if references else {}),
        "sentences": len(corpora.train),
        "tokens_per_epoch": int(corpora.train.lengths.sum(dtype=np.int64)),
        "vocab_size": corpora.tokenizer.vocab_size,
        "steps_per_epoch": steps_per_epoch,
        "device": str(device),
        "sentences_per_second": round(sentences_per_second, 1),
        "minutes_per_epoch": round(epoch_seconds / 60, 4),
        "minutes": round(seconds / 60, 4),
        "epochs": round(seconds / epoch_seconds, 2),
        **encoding,
        "memory_mib": memory_mib(device),
    }


def encoding_figures(run: TrainingRun) -> dict[str, Any]:
    """Time and disk for the stored vectors of a frozen encoder; empty if none are stored."""
    encoder, read = run.model.encoder, run.corpora.source
    if encoder is None or read.train.vectors is None:
        return {}
    sides = (read.train, read.valid)
    missing = [s for s in sides if not is_stored(s, encoder, run.config.data.cache_dir)]
    rate = sentences_per_second(encoder, read.train)
    minutes = sum(map(len, missing)) / rate / 60
    disk = sum(4 * len(side) * encoder.output_size for side in sides)
    return {
        "minutes_to_store_vectors": round(minutes, 4),
        "stored_vectors_mib": round(disk / 2**20, 1),
    }


def measure_speed(run: TrainingRun) -> float:
    """Sentences a second over a few seconds of steps; the weights are worthless afterwards."""
    for batch in endlessly(run, WARM_UP_STEPS):
        measured_step(run, batch)
    synchronize(run.device)
    sentences, started = 0, time.monotonic()
    for batch in endlessly(run, MEASURED_STEPS):
        measured_step(run, batch)
        sentences += batch.total
        if time.monotonic() - started > MEASURED_SECONDS:
            break
    synchronize(run.device)
    return sentences / (time.monotonic() - started)


def measured_step(run: TrainingRun, batch: Batch) -> None:
    """A step as training makes it."""
    weight, rate = run.schedule.kl_weight(), run.schedule.learning_rate()
    train_step(run, batch, kl_weight=weight, learning_rate=rate)


def endlessly(run: TrainingRun, steps: int) -> Iterator[Batch]:
    """The next `steps` batches, over as many epochs as that takes."""
    left = steps
    while left > 0:
        for batch in islice(run.rest_of_epoch(), left):
            yield batch
            left -= 1


def memory_mib(device: torch.device) -> int:
    """Memory in use after the measured steps: the peak of the GPU, else that of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) // 2**20
    return psutil.Process().memory_info().rss // 2**20
