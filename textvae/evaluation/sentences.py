"""Which sentences are evaluated, and as which tokens."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from textvae.data.rows import Row, hash_fraction
from textvae.data.tokenizers import Tokenizer
from textvae.errors import DataError, UsageError


@dataclass(frozen=True)
class Sentences:
    """N sentences, after blank lines and long sentences were met."""

    rows: list[Row]
    places: list[int]  # of each in the input, from 0
    ids: list[list[int]]  # tokens of each, no end token
    n_blank: int
    n_truncated: int

    @property
    def texts(self) -> list[str]:
        """Their texts; of a truncated one, what is left."""
        return [row.text for row in self.rows]


def prepare(
    rows: Iterable[Row],
    tokenizer: Tokenizer,
    max_tokens: int,
    *,
    limit: int | None = None,
    truncate: bool = False,
) -> Sentences:
    """The rows as sentences of at most `max_tokens`, end token included; blank ones left out.

    A truncated sentence has no `log_prob` any more.

    Raises:
        DataError: nothing but blank lines, or too long sentences and no `truncate`.
    """
    numbered = list(enumerate(rows))
    spoken = [(place, row) for place, row in numbered if row.text.strip()]
    if not spoken:
        raise DataError(f"no sentence to evaluate: {len(numbered)} lines, none with text")
    n_blank = len(numbered) - len(spoken)
    if limit is not None:
        spoken = [spoken[i] for i in lowest_hashes([row.text for _, row in spoken], limit)]
    places, kept = [place for place, _ in spoken], [row for _, row in spoken]
    ids = [list(row) for row in tokenizer.encode([row.text for row in kept])]
    longest = max_tokens - 1  # the end token is the last
    too_long = [i for i, row in enumerate(ids) if len(row) > longest]
    if too_long and not truncate:
        first = too_long[0]
        raise DataError(
            f"{len(too_long)} of {len(ids)} sentences exceed the model's limit of {max_tokens} "
            f"tokens, the first of them is number {places[first] + 1}, with {len(ids[first]) + 1}; "
            "cut them with --truncate, or leave them out"
        )
    for i in too_long:
        ids[i] = ids[i][:longest]
        if tokenizer.kind == "word":  # decoding would hide which words were unknown
            text = " ".join(kept[i].text.split()[:longest])
        else:
            text = tokenizer.decode([ids[i]])[0]
        kept[i] = Row(text=text, label=kept[i].label)
    return Sentences(kept, places, ids, n_blank, len(too_long))


def limit_rows(rows: Sequence[Row], n: int) -> list[Row]:
    """The n rows whose texts have the lowest hashes, in their order; equal texts by position.

    The same whatever the seed, and a part of that for any larger n.
    """
    return [rows[i] for i in lowest_hashes([row.text for row in rows], n)]


def lowest_hashes(texts: Iterable[str], n: int) -> list[int]:
    """Positions, ascending, of the n texts with the lowest hashes.

    Raises:
        UsageError: n < 1.
    """
    if n < 1:
        raise UsageError(f"a subset of {n} sentences: give 1 or more")
    ranked = ((hash_fraction(text, purpose="limit"), place) for place, text in enumerate(texts))
    return sorted(place for _, place in heapq.nsmallest(n, ranked))
