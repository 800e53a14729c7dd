"""Commands run in the tests' own process or in one of their own, and a stream like a terminal."""

from __future__ import annotations

import io
import json
import re
import signal
import subprocess
import sys
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


class Terminal(io.StringIO):
    """A stdout that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def in_a_process(*arguments: object, **settings: Any) -> subprocess.Popen[bytes]:
    """`python -m textvae ARGUMENTS`, started, and to be interrupted even below a background job."""
    command = [sys.executable, "-m", "textvae", *map(str, arguments)]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's & ignores it
        **settings,
    )
