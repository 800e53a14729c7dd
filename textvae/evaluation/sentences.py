"""The sentences to evaluate, and their tokens."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from textvae.data.batches import cut_to_limit
from textvae.data.rows import Row, hash_fraction
from textvae.data.tokenizers import Tokenizer
from textvae.errors import DataError, UsageError, option


@dataclass(frozen=True)
class Sentences:
    """N sentences without blank lines, truncated where needed."""

    rows: list[Row]
    places: list[int]  # index of each sentence in the input, from 0
    ids: list[list[int]]  # for the decoder, without end tokens
    source_ids: list[list[int]] | None  # for an encoder with its own tokenizer
    n_blank: int
    n_truncated: int

    @property
    def texts(self) -> list[str]:
        """The texts, truncated where the sentence is."""
        return [row.text for row in self.rows]


def prepare(
    rows: Iterable[Row],
    tokenizer: Tokenizer,
    max_tokens: int,
    *,
    limit: int | None = None,
    truncate: bool = False,
    encoder_tokenizer: Tokenizer | None = None,
    encoder_max_tokens: int | None = None,
) -> Sentences:
    """Sentences of at most `max_tokens` tokens, end token included, without blank rows.

    A truncated sentence loses its `log_prob`.

    Args:
        tokenizer: the decoder's tokenizer.
        limit: take a fixed subset of this size, see `lowest_hashes`.
        truncate: truncate sentences that are too long for the decoder or for the encoder, instead
            of raising DataError.
        encoder_tokenizer, encoder_max_tokens: for an encoder with its own tokenizer.

    Raises:
        DataError: there are only blank lines, or too long sentences without `truncate`.
    """
    numbered = list(enumerate(rows))
    spoken = [(place, row) for place, row in numbered if row.text.strip()]
    if not spoken:
        raise DataError(f"no sentence to evaluate: no text in {len(numbered)} lines")
    n_blank = len(numbered) - len(spoken)
    if limit is not None:
        spoken = [spoken[i] for i in lowest_hashes([row.text for _, row in spoken], limit)]
    places, kept = [place for place, _ in spoken], [row for _, row in spoken]
    texts, ids, cut = truncated(kept, places, tokenizer, max_tokens, truncate=truncate)
    source_ids = None
    if encoder_tokenizer is not None and encoder_tokenizer is not tokenizer:
        read = [Row(row.text) for row in kept]  # the encoder reads only what the decoder predicts
        _, source_ids, too_long = truncated(
            read, places, encoder_tokenizer, encoder_max_tokens or max_tokens, truncate=truncate
        )
        n_truncated = len(cut | too_long)
    else:
        n_truncated = len(cut)
    for i in cut:
        kept[i] = Row(text=texts[i], label=kept[i].label)
    return Sentences(kept, places, ids, source_ids, n_blank, n_truncated)


def truncated(
    rows: Sequence[Row],
    places: Sequence[int],
    tokenizer: Tokenizer,
    max_tokens: int,
    *,
    truncate: bool,
) -> tuple[list[str], list[list[int]], set[int]]:
    """(texts, token ids, indices of rows that were too long), after truncation.

    Raises:
        DataError: a row is too long, and `truncate` is False.
    """
    texts = [row.text for row in rows]
    ids, too_long = cut_to_limit(tokenizer.encode(texts), max_tokens)
    if too_long and not truncate:
        first = too_long[0]
        n_tokens = len(tokenizer.encode([texts[first]])[0]) + 1
        raise DataError(
            f"{len(too_long)} of {len(ids)} sentences exceed the model's limit of {max_tokens} "
            f"tokens (first: sentence {places[first] + 1}, {n_tokens} tokens); "
            f"pass {option('truncate', True)}, or remove these sentences"
        )
    for i in too_long:
        if tokenizer.kind == "word":  # decoding would replace unknown words
            texts[i] = " ".join(texts[i].split()[: max_tokens - 1])
        else:
            texts[i] = tokenizer.decode([ids[i]])[0]
    return texts, ids, set(too_long)


def lowest_hashes(texts: Iterable[str], n: int) -> list[int]:
    """The indices, ascending, of the n texts with the lowest hashes.

    Raises:
        UsageError: n < 1.
    """
    rows, _ = lowest_hashed_rows(map(Row, texts), n)
    return [place for place, _ in rows]


def lowest_hashed_rows(rows: Iterable[Row], n: int | None) -> tuple[list[tuple[int, Row]], int]:
    """The n rows whose texts have the lowest hashes, in order, and the number of all rows.

    Each row stands with its index. Only n rows are in memory at once; None takes all.

    Raises:
        UsageError: n < 1.
    """
    if n is not None and n < 1:
        raise UsageError(f"a subset of {n} sentences: expected at least 1")
    count = 0

    def ranked() -> Iterator[tuple[float, int, Row]]:
        nonlocal count
        for place, row in enumerate(rows):
            count += 1
            yield hash_fraction(row.text, purpose="limit"), place, row

    # No two rows have the same place, so rows are never compared.
    kept = ranked() if n is None else heapq.nsmallest(n, ranked())
    return sorted((place, row) for _, place, row in kept), count
