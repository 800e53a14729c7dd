"""What in a text or a label is likely to be a mistake, and what to do about it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from textvae.data.rows import Row
from textvae.errors import shown
from textvae.progress import Remarks

# What programs write for a value that is missing, in lower case. Some are names too: NA is a
# country, Null a surname, None an answer. So a label that reads so stays a label.
MISSING = frozenset(("nan", "-nan", "none", "null", "na", "n/a", "<na>", "#n/a", "#na", "nat"))
_LISTED = 3
C1_CONTROLS = "[\u0080-\u009f]"
_C1 = re.compile(C1_CONTROLS)


def wrongly_converted(n: int) -> str:
    """The warning about `n` texts with control characters from U+0080 to U+009F."""
    texts = "1 text holds" if n == 1 else f"{n:,} texts hold"
    return (
        f"{texts} control characters (U+0080 to U+009F), a sign that CP1252 was converted to UTF-8 "
        "as if it were LATIN1; convert the original with `iconv -f CP1252 -t UTF-8`, or mend this "
        "file with `iconv -f UTF-8 -t LATIN1 | iconv -f CP1252 -t UTF-8`"
    )


def watched(rows: Iterable[Row], name: str, remarks: Remarks) -> Iterator[Row]:
    """The rows of the input `name`; at the end, a warning about doubtful texts."""
    n = 0
    for row in rows:
        n += not row.text.isascii() and _C1.search(row.text) is not None
        yield row
    if n:
        remarks.warn(name, wrongly_converted(n))


def missing_labels(labels: Iterable[str | None]) -> str | None:
    """The warning about labels that may stand for missing ones; None if there are none."""
    counts = Counter(label for label in labels if label and label.casefold() in MISSING)
    if not counts:
        return None
    listed = [f"{shown(label)} ({n:,})" for label, n in counts.most_common(_LISTED)]
    more = f" and {len(counts) - _LISTED:,} more" if len(counts) > _LISTED else ""
    are, they = ("is a class", "it") if len(counts) == 1 else ("are classes", "they")
    return (
        f"{', '.join(listed)}{more} {are} like any other label; if {they} stand"
        f"{'s' if len(counts) == 1 else ''} for a missing label, empty these cells, which leaves "
        "the rows out"
    )
