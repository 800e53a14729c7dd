"""Directions of attributes in the latent space, and sentences that are moved along one."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from textvae.api.encoding import fingerprint_of, require_latent, warn_of_cut
from textvae.api.protocol import TextModel
from textvae.arguments import number, seed_of
from textvae.data import input_rows
from textvae.data.input_rows import Sentences, name_of
from textvae.data.rows import Row
from textvae.errors import DataError, UsageError, shown, worded
from textvae.latent import directions as vectors
from textvae.latent.direction_file import Direction
from textvae.latent.directions import DirectionMethod
from textvae.progress import Watcher
from textvae.progress.bars import shows_progress

MOST_STRENGTHS = 100  # of one call; each decodes the whole input once

LEAST_SEPARATION = 0.65  # a direction below it is warned of


@dataclass(frozen=True)
class Shifted:
    """A sentence, and the sentence that its vector decodes to after a move along a direction."""

    index: int
    text: str
    strength: float
    shifted: str

    def to_dict(self) -> dict[str, Any]:
        """The sentence as `textvae attribute --json` prints it, but for `decoding`."""
        return dict(vars(self))


@shows_progress
def direction(
    vae: TextModel,
    start: Sentences,
    end: Sentences,
    *,
    method: DirectionMethod = "mean",
    name: str | None = None,
    text_column: str | None = None,
    seed: int | None = 0,
    watcher: Watcher | None = None,
) -> Direction:
    """The direction from the sentences `start` to the sentences `end`.

    >>> polite = vae.direction("plain.txt", "polite.txt")  # doctest: +SKIP
    >>> polite.save("polite.safetensors")  # doctest: +SKIP

    Args:
        start, end: a file, glob, `-` (stdin), `hf:` name, or sentences. Blank lines are skipped.
        method: `mean`: the difference of the means of the vectors (Shen 2020). `linear`: the part
            of this difference that is parallel to the normal of a linear classifier of the two
            sets; this part changes less of what the classifier does not need.
        seed: of the folds that choose the regularisation of the classifier.

    Raises:
        UsageError: an unknown method, or a language model.
        DataError: a set without sentences, or two sets without a difference.
    """
    if method not in get_args(DirectionMethod):
        known = " or ".join(get_args(DirectionMethod))
        raise UsageError(f"method {shown(method)} is unknown; try {known}")
    seed = seed_of(seed)
    require_latent(vae, "find a direction", name)
    input_rows.read_stdin_once(start, end)
    watcher = watcher or Watcher()
    opened = [
        input_rows.prepared_rows(
            sentences, vae.config.data, text_column=text_column, remarks=watcher.remarks
        )
        for sentences in (start, end)  # both, so that a missing file is told before the work
    ]
    before, after = (
        _vectors_of(vae, name_of(sentences), rows, watcher)
        for sentences, rows in zip((start, end), opened, strict=True)
    )
    vector = vectors.mean_difference(before, after)
    if method == "linear":
        vector = vectors.along(_normal(before, after, seed), vector)
    if not vector.any():
        raise DataError(
            "the vectors of the two sets do not differ, so there is no direction; give sentences "
            "without and with the attribute"
        )
    apart = vectors.separation(before, after, vector)
    if len(before) + len(after) <= vae.latent_size + 1:
        # A plane parts nearly any so few points: Cover 1965.
        watcher.warn(
            f"only {len(before) + len(after):,} sentences for a direction in {vae.latent_size} "
            "dimensions: its separation says little, and it may carry more than the attribute; "
            "give more sentences"
        )
    elif apart < LEAST_SEPARATION:
        watcher.warn(
            f"the direction tells only {apart:.1%} of the sentences of the two sets apart (chance: "
            "50%); the model may not know the attribute"
        )
    return Direction(
        vector=vector,
        method=method,
        n_start=len(before),
        n_end=len(after),
        separation=apart,
        fingerprint=fingerprint_of(vae),
    )


def attribute(
    vae: TextModel,
    sentences: Sentences,
    direction: Direction | str | Path,
    *,
    strengths: Sequence[float] | float = 1.0,
    name: str | None = None,
    text_column: str | None = None,
    watcher: Watcher | None = None,
) -> list[Shifted]:
    """Each sentence, decoded after its vector has moved along a direction; greedy. Shen 2020.

    >>> vae.attribute(["the soup was cold ."], "warm.safetensors")  # doctest: +SKIP

    Args:
        sentences: a file, glob, `-` (stdin), `hf:` name, or sentences.
        direction: from `direction`, or its file.
        strengths: how far: 1 adds the whole difference of the two sets, -1 goes back. The result
            has a row for each strength of each sentence, the strengths of a sentence together.

    Raises:
        UsageError: a strength that is not a finite number, or a language model.
        DataError: the direction belongs to another model.
        NotFoundError, ModelFormatError: its file is missing or damaged.
    """
    return list(
        iter_attribute(
            vae,
            sentences,
            direction,
            strengths=strengths,
            name=name,
            text_column=text_column,
            watcher=watcher,
        )
    )


def iter_attribute(
    vae: TextModel,
    sentences: Sentences,
    direction: Direction | str | Path,
    *,
    strengths: Sequence[float] | float = 1.0,
    name: str | None = None,
    text_column: str | None = None,
    watcher: Watcher | None = None,
) -> Iterator[Shifted]:
    """The rows of `attribute`, one by one, in bounded memory.

    Direction, strengths and source are checked at the call, not with the first row.
    """
    strengths = checked_strengths(strengths)
    require_latent(vae, "change an attribute", name)
    towards = checked_direction(vae, direction, name)
    watcher = watcher or Watcher()
    rows = input_rows.prepared_rows(
        sentences, vae.config.data, text_column=text_column, remarks=watcher.remarks
    )
    rows = input_rows.warn_if_empty(rows, name_of(sentences), watcher.warn)
    # A chunk holds a vector for each strength.
    chunks = input_rows.in_chunks(rows, max(1, input_rows.CHUNK // len(strengths)))
    return _shifted(vae, towards.vector, strengths, chunks, watcher)


def _shifted(
    vae: TextModel,
    vector: NDArray[np.float64],
    strengths: Sequence[float],
    chunks: Iterator[tuple[int, list[Row]]],
    watcher: Watcher,
) -> Iterator[Shifted]:
    n_cut = 0
    for first, chunk in chunks:
        found = vae.embed([row.text for row in chunk])
        n_cut += found.cut
        moved = vectors.shifted(found.vectors, vector, strengths)  # (N, S, Z)
        decoded = iter(vae.decode(moved.reshape(-1, moved.shape[-1])))
        for index, row in enumerate(chunk, first):
            for strength in strengths:
                yield Shifted(index, row.text, strength, next(decoded))
    warn_of_cut(n_cut, vae.max_tokens_read, watcher.warn)


def checked_direction(
    vae: TextModel, direction: Direction | str | Path, name: str | None = None
) -> Direction:
    """The direction, read from its file if a name is given.

    Raises:
        NotFoundError, ModelFormatError: as `Direction.load`.
        DataError: the direction belongs to another model.
    """
    path = "this direction"
    if isinstance(direction, str | Path):
        path, direction = str(direction), Direction.load(direction)
    elif not isinstance(direction, Direction):
        raise UsageError(f"direction is {shown(direction)}; expected a Direction or its file")
    same_size = direction.vector.shape == (vae.model.latent_size,)
    if direction.fingerprint != fingerprint_of(vae) or not same_size:
        model = name or str(vae.folder or "MODEL")
        how = worded(
            f"textvae attribute {shlex.quote(model)} --from FILE --to FILE --save FILE",
            "vae.direction(START, END)",
        )
        raise DataError(
            f"{path} belongs to another model than {model}; make one for {model} with {how}"
        )
    return direction


def checked_strengths(strengths: Sequence[float] | float) -> tuple[float, ...]:
    """The strengths, one or several.

    Raises:
        UsageError: none, too many, or one that is not a finite number.
    """
    given = strengths if isinstance(strengths, Sequence | np.ndarray) else [strengths]
    if isinstance(given, str) or not 1 <= len(given) <= MOST_STRENGTHS:
        how = worded("--strength 0.5,1,2", "strengths=[0.5, 1, 2]")
        raise UsageError(
            f"{len(given)} strengths; expected 1 to {MOST_STRENGTHS} numbers; try {how}"
        )
    return tuple(number("strength", strength) for strength in given)


def _vectors_of(
    vae: TextModel, source: str, rows: Iterator[Row], watcher: Watcher
) -> NDArray[np.float32]:
    """The vectors of the sentences that have a text, (N, Z), N >= 1."""
    n_cut, parts = 0, []
    for first, chunk in input_rows.in_chunks(input_rows.with_text(rows, source, watcher.warn)):
        found = vae.embed([row.text for row in chunk])
        parts.append(found.vectors)
        n_cut += found.cut
        watcher.progress(f"encoding {source}", first + len(chunk), 0)
    if not parts:
        raise DataError(f"{source}: no sentences in it")
    warn_of_cut(n_cut, vae.max_tokens_read, watcher.warn)
    return np.concatenate(parts)


def _normal(
    before: NDArray[np.float32], after: NDArray[np.float32], seed: int
) -> NDArray[np.float64]:
    """The normal of a linear classifier of the two sets, (Z,), towards `after`.

    The classifier sees standardised dimensions, as those of `probe` do.
    """
    from textvae.classification.linear import fit
    from textvae.classification.probes import moments

    both = np.concatenate([before, after])
    mean, scale = moments(both)
    labels = np.repeat([0, 1], [len(before), len(after)])
    found = fit((both - mean) / scale, labels, seed=seed)
    normal: NDArray[np.float64] = (found.weights[1] - found.weights[0]) / scale
    return normal
