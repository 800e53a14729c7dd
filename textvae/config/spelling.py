"""The known name that is closest to an unknown one, for messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from textvae.files.untrusted import LONGEST_NAME


def suggestion(name: str, known: Iterable[str]) -> str:
    """`, did you mean 'x'?` with the closest known name, or an empty string."""
    near = difflib.get_close_matches(name[:LONGEST_NAME], list(known), n=1)
    return f", did you mean {near[0]!r}?" if near else ""
