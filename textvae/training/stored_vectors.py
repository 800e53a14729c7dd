"""The vectors of a frozen encoder, computed once for a corpus and kept in the cache."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from textvae.config import Config
from textvae.config.schema import NEEDS_READER
from textvae.data.batches import by_length
from textvae.data.cache import advising, cache_folder, fingerprint
from textvae.data.corpus import EncodedCorpus, check_free_disk
from textvae.data.prepare import Corpora
from textvae.files.atomic import replacing
from textvae.models.device import exact_float32
from textvae.models.encoder import Encoder
from textvae.models.sentence import SentenceModel
from textvae.number_format import counted
from textvae.training.reporting import Reporter

CHUNK = 4_096  # sentences that are sorted by length and written together
TOKENS = 4_096  # in a batch
TIMED = 64  # sentences from which the time of the encoder is estimated


def with_stored_vectors(
    corpora: Corpora, model: SentenceModel, config: Config, reporter: Reporter
) -> Corpora:
    """The corpora with the vectors of a frozen encoder, from the cache or computed now.

    Unchanged where training or noise changes the vectors; a message says what that costs.

    Raises:
        DataError: the disk has no room for the vectors.
    """
    encoder = model.encoder
    if encoder is None or encoder.reference is None:
        return corpora
    read = corpora.source
    why = why_not_stored(encoder, config)
    if why is not None:
        rate = sentences_per_second(encoder, read.train)
        reporter.message(
            f"{why}, so its vectors are not stored: the encoder reads {rate:,.0f} sentences/s, "
            f"{len(read.train) / rate / 60:.1f} minutes in each epoch without its gradients"
        )
        return corpora
    folder = cache_folder(config.data.cache_dir)
    with advising(folder):
        sides = [
            side.with_vectors(_vectors(folder, side, encoder, name, reporter))
            for name, side in (("training", read.train), ("validation", read.valid))
        ]
    return _with_sides(corpora, *sides)


def without_vectors_yet(corpora: Corpora, model: SentenceModel, config: Config) -> Corpora:
    """The corpora as in training, with zeros in place of vectors, for a rehearsal."""
    encoder = model.encoder
    if encoder is None or encoder.reference is None or why_not_stored(encoder, config):
        return corpora
    read, zero = corpora.source, np.zeros(encoder.output_size, np.float32)
    sides = [
        side.with_vectors(np.broadcast_to(zero, (len(side), encoder.output_size)))
        for side in (read.train, read.valid)
    ]
    return _with_sides(corpora, *sides)


def why_not_stored(encoder: Encoder, config: Config) -> str | None:
    """Why the vectors of a pretrained encoder change in training; None if they never do."""
    if config.model.encoder_training != "frozen":
        return f"encoder_training {config.model.encoder_training} changes the encoder"
    noises = [name for name in NEEDS_READER if getattr(config.objective, name)]
    if noises:
        return f"{noises[0]} changes what the encoder reads"
    return None if encoder.fixed_by else "dropout or a trained pooling changes its output"


def is_stored(corpus: EncodedCorpus, encoder: Encoder, cache_dir: str | None) -> bool:
    """True if the cache has the vectors of a corpus."""
    return _path(cache_folder(cache_dir), corpus, encoder).is_file()


@torch.inference_mode()
def sentences_per_second(encoder: Encoder, corpus: EncodedCorpus) -> float:
    """The speed of an encoder, measured on some sentences of the corpus."""
    rows = np.unique(np.linspace(0, len(corpus) - 1, min(len(corpus), TIMED)).astype(np.int64))
    device = next(encoder.parameters()).device
    tokens = replace(corpus.tokens(rows), vectors=None).to(device)
    encoder(tokens)
    started = time.monotonic()
    encoder(tokens).cpu()
    return len(rows) / max(time.monotonic() - started, 1e-6)


def _with_sides(corpora: Corpora, train: EncodedCorpus, valid: EncodedCorpus) -> Corpora:
    if corpora.of_encoder is None:
        return corpora._replace(train=train, valid=valid)
    return corpora._replace(of_encoder=corpora.of_encoder._replace(train=train, valid=valid))


def _path(folder: Path, corpus: EncodedCorpus, encoder: Encoder) -> Path:
    key = fingerprint("vectors", corpus.fingerprint, encoder.fixed_by, encoder.output_size)
    return folder / "vectors" / f"{key}.npy"


def _vectors(
    folder: Path, corpus: EncodedCorpus, encoder: Encoder, name: str, reporter: Reporter
) -> np.ndarray:
    """The vectors (N, H) of a corpus, mapped from the cache; computed first if they are missing."""
    path, shape = _path(folder, corpus, encoder), (len(corpus), encoder.output_size)
    if path.is_file():
        found = _read(path, shape)
        if found is not None:
            return found
        reporter.message(f"{path}: damaged vectors; computing them again")
    check_free_disk(path.parent, 4 * shape[0] * shape[1])
    started = time.monotonic()
    with replacing(path) as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for first in range(0, len(corpus), CHUNK):
            rows = np.arange(first, min(first + CHUNK, len(corpus)))
            file.write(_encoded(encoder, corpus, rows).tobytes())
            reporter.progress(f"{name} vectors", int(rows[-1]) + 1, len(corpus))
    seconds = time.monotonic() - started
    reporter.message(
        f"{name}: stored the vectors of {counted(len(corpus), 'sentence')} by the frozen encoder "
        f"({seconds:.0f} s, {shape[0] * shape[1] * 4 / 2**20:.0f} MiB)"
    )
    return np.lib.format.open_memmap(path, mode="r")


def _read(path: Path, shape: tuple[int, int]) -> np.ndarray | None:
    """The vectors in a file of the cache; None if the file is damaged."""
    try:
        found = np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError, EOFError):
        return None
    return found if found.shape == shape and found.dtype == np.float32 else None


@torch.inference_mode()
def _encoded(encoder: Encoder, corpus: EncodedCorpus, rows: np.ndarray) -> np.ndarray:
    """The vectors (N, H) of these rows, encoded in batches of similar length."""
    device = next(encoder.parameters()).device
    found = np.empty((len(rows), encoder.output_size), np.float32)
    size = lambda longest: max(1, TOKENS // longest)  # noqa: E731
    with exact_float32(device):
        for places in by_length(corpus.lengths[rows], size, longest_first=True):
            tokens = corpus.tokens(rows[places]).to(device)
            found[places] = encoder(tokens).float().cpu().numpy()
    return found
