"""Labelled variations of labelled sentences, for a small training set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from textvae.api.encoding import SPREAD_OF_CODES, require_latent
from textvae.api.label_variations import HOW, How, LabelVariations
from textvae.api.protocol import TextModel
from textvae.arguments import distance, seed_of, whole_number
from textvae.data.columns import LABEL, TEXT
from textvae.data.input_rows import CHUNK, Sentences, name_of
from textvae.data.rows import Row
from textvae.data.writing import letters
from textvae.errors import UsageError, option
from textvae.number_format import counted
from textvae.progress import Watcher
from textvae.progress.bars import shows_progress

COPIES = 3
MOST_COPIES = 1_000
TRIES = 5  # draws for a copy, until one is accepted
SCALES: dict[How, float] = {"sample": 1.0, "interpolate": 0.5}


@dataclass(frozen=True)
class Variation:
    """A labelled variation of a sentence.

    Args:
        index: of the sentence among those with a label and a text, from 0.
        copy: 0 for the first variation of this sentence that was asked for.
        source: the sentence.
    """

    index: int
    copy: int
    text: str
    label: str
    source: str

    def to_dict(self) -> dict[str, Any]:
        """The variation as `textvae augment --json` prints it, but for `decoding`."""
        return dict(vars(self))


@dataclass
class Counts:
    """What became of the draws.

    Args:
        asked: variations asked for: sentences times copies.
        kept: variations found.
        repeated: draws left out because they are blank, or equal to a sentence of the input or to
            an earlier variation but for case, spacing and punctuation.
        disagreed: draws left out because the classifier gives them another label.
    """

    asked: int = 0
    kept: int = 0
    repeated: int = 0
    disagreed: int = 0


@dataclass(frozen=True)
class Augmentation:
    """The variations of labelled sentences, found while they are read, once.

    Args:
        rows: the sentences of the input that have a label.
        columns: the names of the columns of text and label in the input.
        how, scale: as asked for, or the defaults.
        counts: complete after the last variation.
    """

    rows: Sequence[Row] = field(repr=False)
    columns: tuple[str, str]
    how: How
    scale: float
    counts: Counts
    _variations: Iterator[Variation] = field(repr=False)

    def __iter__(self) -> Iterator[Variation]:
        return self._variations


@shows_progress
def augment(
    vae: TextModel,
    sentences: Sentences,
    copies: int = COPIES,
    *,
    how: How = "sample",
    scale: float | None = None,
    filtered: bool = True,
    name: str | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    seed: int | None = 0,
    watcher: Watcher | None = None,
) -> list[Variation]:
    """At most `copies` labelled variations of each labelled sentence.

    A variation has the label of its sentence. No variation equals a sentence of the input or an
    earlier variation, but for case, spacing and punctuation. Up to 5 points are decoded greedily
    for each. The draws depend on (seed, copy, sentence), so the variations of fewer copies are the
    first of those of more copies.

    The variations can lower the accuracy: measure them on held-out sentences, see docs/latent.md.

    >>> extra = vae.augment("train.tsv", copies=2)  # doctest: +SKIP
    >>> [(one.text, one.label) for one in extra]  # doctest: +SKIP

    Args:
        sentences: a file, glob, `-` (stdin), `hf:` name, or rows (`textvae.api.Row`). All are held
            in memory.
        how: `sample`: z = mean + scale * stddev * noise of the posterior (of an ae: the deviations
            of all its codes). `interpolate`: z = mean + t (mean of another sentence of the class -
            mean), t uniform from 0 to `scale`; Chawla 2002 (SMOTE), with a random sentence in place
            of a near one.
        scale: by default 1 to `sample` (of an ae 0.2), 0.5 to `interpolate`.
        filtered: leave out variations to which a linear classifier, trained on the vectors of the
            sentences, gives another label.
        seed: None takes a fresh one.

    Raises:
        UsageError: a language model, or an option out of range.
        DataError: no labels, or a column that does not hold classes.
    """
    return list(
        iter_augment(
            vae,
            sentences,
            copies,
            how=how,
            scale=scale,
            filtered=filtered,
            name=name,
            text_column=text_column,
            label_column=label_column,
            seed=seed,
            watcher=watcher,
        )
    )


def iter_augment(
    vae: TextModel,
    sentences: Sentences,
    copies: int = COPIES,
    *,
    how: How = "sample",
    scale: float | None = None,
    filtered: bool = True,
    name: str | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    seed: int | None = 0,
    watcher: Watcher | None = None,
) -> Augmentation:
    """The variations of `augment`, one by one; the sentences are read and checked at the call."""
    copies, seed = whole_number("copies", copies, least=1, example=COPIES), seed_of(seed)
    if copies > MOST_COPIES:
        raise UsageError(f"{option('copies', copies)}: expected {MOST_COPIES:,} at most")
    scale = _checked_scale(vae, how, scale)
    require_latent(vae, "augment", name)
    watcher = watcher or Watcher()
    columns = {
        "text_column": text_column or vae.config.data.text_column,
        "label_column": label_column,
    }
    rows = _labelled(sentences, columns, filtered, watcher)
    sources = [row for row in rows if row.text.strip()]
    if len(sources) < len(rows):
        blank = counted(len(rows) - len(sources), "blank line")
        watcher.warn(f"{name_of(sentences)}: no variations of {blank}")
    variations = LabelVariations(
        vae, sources, how=how, scale=scale, filtered=filtered, seed=seed, watcher=watcher
    )
    counts = Counts(asked=len(sources) * copies)
    text, label = watcher.remarks.columns.get(name_of(sentences), tuple(columns.values()))
    return Augmentation(
        rows=rows,
        columns=(text or TEXT, label or label_column or LABEL),
        how=how,
        scale=scale,
        counts=counts,
        _variations=_accepted(variations, sources, copies, counts, watcher),
    )


def _accepted(
    variations: LabelVariations,
    sources: Sequence[Row],
    copies: int,
    counts: Counts,
    watcher: Watcher,
) -> Iterator[Variation]:
    """The variations of copy 0 of all sentences, then those of copy 1, ...; counts the draws.

    All sentences without the copy are drawn in turn, so an earlier draw never depends on a later
    one, nor on the number of copies.
    """
    known = {"", *(letters(row.text) for row in sources)}
    for copy in range(copies):
        waiting = variations.usable()
        for attempt in range(TRIES):
            rejected = []
            for start in range(0, len(waiting), CHUNK):
                places = waiting[start : start + CHUNK]
                drawn = variations.draw(places, copy * TRIES + attempt)
                for place, (text, agrees) in zip(places, drawn, strict=True):
                    if letters(text) in known:
                        counts.repeated += 1
                        rejected.append(place)
                    elif not agrees:
                        counts.disagreed += 1
                        rejected.append(place)
                    else:
                        counts.kept += 1
                        known.add(letters(text))
                        row = sources[place]
                        yield Variation(place, copy, text, str(row.label), row.text)
                watcher.progress("augmenting", counts.kept, counts.asked)
            waiting = rejected


def _labelled(
    sentences: Sentences, columns: dict[str, str | None], filtered: bool, watcher: Watcher
) -> list[Row]:
    """The sentences with a label.

    Raises:
        DataError: no labels; or labels that a classifier cannot learn.
    """
    from textvae.classification.task import check_classes, read_labelled, warn_of_similar

    rows = read_labelled(sentences, **columns, warn=watcher.warn, remarks=watcher.remarks)
    if filtered:
        in_memory = not isinstance(sentences, str | Path)
        column = None if in_memory else columns["label_column"] or LABEL
        check_classes(name_of(sentences), rows, column)
    warn_of_similar({str(row.label) for row in rows}, watcher.warn)
    return rows


def _checked_scale(vae: TextModel, how: How, scale: float | None) -> float:
    """The scale, or the default.

    Raises:
        UsageError: an unknown way, or a scale out of range.
    """
    if how not in HOW:
        raise UsageError(f"{option('how', how)} is unknown; try {' or '.join(HOW)}")
    if scale is None:
        in_codes = how == "sample" and not vae.model.has_density
        return SPREAD_OF_CODES if in_codes else SCALES[how]
    scale = distance("scale", scale)
    if how == "interpolate" and scale > 1:
        raise UsageError(
            f"{option('scale', scale)}: to interpolate, expected the largest share of the way to "
            "the other sentence, 1 at most; try 0.5"
        )
    return scale
