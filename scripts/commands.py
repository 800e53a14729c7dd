"""What the experiments share: commands of textvae on one thread, and Markdown tables."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def textvae(*arguments: object, log: Path) -> None:
    """Run a command of textvae on one thread, its output at the end of `log`."""
    command = [sys.executable, "-m", "textvae", *map(str, arguments)]
    with open(log, "a", encoding="utf-8") as stream:
        done = subprocess.run(
            command, stdout=stream, stderr=stream, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
    if done.returncode:
        sys.exit(f"{' '.join(command)}: exit code {done.returncode}; see {log}")


def commit() -> str:
    """The commit of this repository; with "-dirty" where tracked files have changed since."""
    command = ["git", "describe", "--always", "--dirty", "--exclude", "*"]
    folder = Path(__file__).parent
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def provenance(what: str) -> dict[str, str]:
    """What the figures of this script are, and how they were made."""
    command = shlex.join(["python", *sys.argv])
    return {"what": what, "commit": commit(), "command": command}


def markdown(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
