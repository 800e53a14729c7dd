"""One sentence for a group of sentences, decoded from the mean of some of its members."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from textvae.api.encoding import require_latent, warn_of_cut
from textvae.api.protocol import TextModel
from textvae.arguments import whole_number
from textvae.data.input_rows import CHUNK, Sentences, name_of, prepared_rows, warn_of_blank
from textvae.data.writing import writing_of
from textvae.errors import DataError, flag
from textvae.latent.subsets import BEAMS, POOL, SubsetSearch
from textvae.number_format import counted, human
from textvae.progress import Watcher
from textvae.progress.bars import shows_progress

if TYPE_CHECKING:
    from textvae.evaluation.rouge import Overlap

Decode = Callable[[NDArray[np.floating]], list[str]]

ROWS = "[Row(text, group) for text, group in zip(texts, groups)], Row from textvae.api"


@dataclass(frozen=True)
class Summary:
    """One sentence for a group.

    Args:
        group: the value of the column, or the label of the rows.
        size: number of members.
        text: the summary, decoded from the mean of the vectors of `members`.
        overlap: mean ROUGE F1 of the summary with all members, from 0 to 1.
        members: the indices of these members in the input, from 0.
        simple, simple_overlap: the sentence that the mean of all members decodes to.
    """

    group: str
    size: int
    text: str
    overlap: float
    members: tuple[int, ...]
    simple: str
    simple_overlap: float

    def to_dict(self) -> dict[str, Any]:
        """The summary as `textvae summarize --simple --json` prints it, but for `decoding`."""
        return dict(vars(self))


@shows_progress
def summarize(
    vae: TextModel,
    sentences: Sentences,
    *,
    groups: str | None = None,
    overlap: Overlap = "rouge1",
    beams: int = BEAMS,
    pool: int = POOL,
    name: str | None = None,
    text_column: str | None = None,
    watcher: Watcher | None = None,
) -> list[Summary]:
    """One sentence for each group, in the order of their first members.

    The summary is decoded from the mean of the vectors of some members: of those whose mean decodes
    to the sentence with the highest overlap with all members. Iso 2021 (Coop) searches all subsets
    of a group; here beams search, and search all subsets of groups of up to 5.

    >>> rows = [Row("the soup was cold .", "soup"), Row("cold soup .", "soup")]  # doctest: +SKIP
    >>> vae.summarize(rows)[0].text  # doctest: +SKIP

    Args:
        sentences: a file, glob, `-` (stdin), `hf:` name, or rows whose labels are the groups.
        groups: the column of the file that names the group; None: `label`.
        overlap: `rouge1`, `rouge2` or `rougeL`.
        beams: subsets of a size that the search extends.
        pool: members that extend them, those whose own reconstruction has the highest overlap.

    Raises:
        UsageError: a language model, or an unknown overlap.
        DataError: no sentence, or none that has a group.
    """
    found = iter_summarize(
        vae,
        sentences,
        groups=groups,
        overlap=overlap,
        beams=beams,
        pool=pool,
        name=name,
        text_column=text_column,
        watcher=watcher,
    )
    return list(found)


def iter_summarize(
    vae: TextModel,
    sentences: Sentences,
    *,
    groups: str | None = None,
    overlap: Overlap = "rouge1",
    beams: int = BEAMS,
    pool: int = POOL,
    name: str | None = None,
    text_column: str | None = None,
    watcher: Watcher | None = None,
) -> Iterator[Summary]:
    """The summaries of `summarize`, one by one; some groups are searched at once."""
    from textvae.evaluation.rouge import against

    beams = whole_number("beams", beams, least=1, example=BEAMS)
    pool = whole_number("pool", pool, least=1, example=POOL)
    against([], overlap, writing="plain")  # an unknown overlap raises before the work
    require_latent(vae, "summarize", name)
    watcher = watcher or Watcher()
    texts, members = _read(vae, sentences, groups, text_column, watcher)
    style = writing_of(texts)

    def summaries() -> Iterator[Summary]:
        done = n_cut = 0
        for chunk in _chunks(members):
            searches = []
            for group, rows in chunk:
                own = [texts[row] for row in rows]
                found = vae.embed(own)
                n_cut += found.cut
                search = SubsetSearch(found.vectors, beams=beams, pool=pool)
                searches.append(
                    _GroupSearch(group, rows, search, against(own, overlap, writing=style))
                )
            _run(searches, vae.decode)
            yield from _results(searches, vae.decode)
            done += len(chunk)
            watcher.progress("summarizing", done, len(members))
        warn_of_cut(n_cut, vae.max_tokens_read, watcher.warn)

    return summaries()


@dataclass(frozen=True, eq=False)
class _GroupSearch:
    """The search for the summary of one group."""

    group: str
    rows: Sequence[int]  # of the members in the input
    search: SubsetSearch
    overlaps: Callable[[str], NDArray[np.float64]]  # with each member

    @cached_property
    def _known(self) -> dict[str, float]:
        return {}  # many means decode to the same sentence

    def score(self, text: str) -> float:
        """The mean overlap of a sentence with the members."""
        if text not in self._known:
            self._known[text] = float(self.overlaps(text).mean())
        return self._known[text]


def _run(searches: Sequence[_GroupSearch], decode: Decode) -> None:
    """Bring all searches to their ends; the candidates of all are decoded together."""
    active = list(searches)
    while active:
        candidates = [one.search.candidates() for one in active]
        texts = iter(decode(np.concatenate(candidates)))
        for one, means in zip(active, candidates, strict=True):
            one.search.take([one.score(text) for text in itertools.islice(texts, len(means))])
        active = [one for one in active if one.search.goes_on]


def _results(searches: Sequence[_GroupSearch], decode: Decode) -> Iterator[Summary]:
    """The summaries that the searches ended at, and the simple means beside them."""
    means = [one.search.means([one.search.best, range(len(one.rows))]) for one in searches]
    texts = iter(decode(np.concatenate(means)))
    for one, text, simple in zip(searches, texts, texts, strict=True):
        yield Summary(
            group=one.group,
            size=len(one.rows),
            text=text,
            overlap=one.score(text),
            members=tuple(one.rows[member] for member in one.search.best),
            simple=simple,
            simple_overlap=one.score(simple),
        )


def _read(
    vae: TextModel,
    sentences: Sentences,
    groups: str | None,
    text_column: str | None,
    watcher: Watcher,
) -> tuple[list[str], dict[str, list[int]]]:
    """The texts, and the indices of the members of each group."""
    rows = prepared_rows(
        sentences,
        vae.config.data,
        text_column=text_column,
        label_column=groups,
        remarks=watcher.remarks,
    )
    texts: list[str] = []
    members: dict[str, list[int]] = {}
    n_blank = 0
    for index, row in enumerate(rows):
        texts.append(row.text)
        if not row.text.strip():
            n_blank += 1  # it says nothing of a group
        elif row.label is not None:
            members.setdefault(row.label, []).append(index)
    source, n = name_of(sentences), sum(map(len, members.values())) + n_blank
    if not texts:
        raise DataError(f"{source}: no sentences in it")
    if not members and isinstance(sentences, str | Path):
        raise DataError(
            f"{source}: no group in {counted(len(texts), 'line')}; expected a table whose column "
            f"{flag('groups')} names the group of each sentence"
        )
    if not members:
        raise DataError(f"{source}: no sentence has a group; give rows: {ROWS}")
    if n < len(texts):
        of = counted(len(texts), "line")
        watcher.warn(f"{source}: skipped {human(len(texts) - n)} of {of} without a group")
    warn_of_blank(n_blank, source, watcher.warn)
    return texts, members


def _chunks(members: dict[str, list[int]]) -> Iterator[list[tuple[str, list[int]]]]:
    """The groups in order, as many at a time as have `CHUNK` members together."""
    chunk: list[tuple[str, list[int]]] = []
    for group in members.items():
        chunk.append(group)
        if sum(len(rows) for _, rows in chunk) >= CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
