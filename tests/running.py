"""Commands run inside the tests' own process."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

ONE_LINE_ERROR = re.compile(r"textvae: error: [^\n]+\n\Z")


@dataclass(frozen=True)
class Ran:
    """What a command left."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        """What it printed, as one JSON object a line."""
        return [json.loads(line) for line in self.out.splitlines()]
