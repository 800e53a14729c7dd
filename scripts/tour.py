"""Run the README's examples and put what they print into it.

A block that follows the line `<!-- run -->` is run in the repository's root: of a `console`
block each line that begins with `$ ` is a shell command, and the lines after it become its
standard output; the output of a `python` block becomes the `text` block after it.

    python scripts/tour.py           writes README.md anew
    python scripts/tour.py --check   says which blocks would change, and fails if any would
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
BLOCK = re.compile(
    r"<!-- run -->\n```(?P<kind>console|python)\n(?P<body>.*?)```\n"
    r"(?P<output>\n?```text\n.*?```\n)?",
    re.DOTALL,
)


def main(arguments: list[str]) -> int:
    """Regenerate or check the README; the exit status."""
    before = README.read_text(encoding="utf-8")
    after = BLOCK.sub(rerun, before)
    if "--check" in arguments:
        if after != before:
            print("README.md differs from what its examples print", file=sys.stderr)
        return int(after != before)
    README.write_text(after, encoding="utf-8")
    return 0


def rerun(block: re.Match[str]) -> str:
    """The block with the output of a fresh run."""
    if block["kind"] == "python":
        output = shell([sys.executable, "-"], block["body"])
        return f"<!-- run -->\n```python\n{block['body']}```\n\n```text\n{output}```\n"
    commands = [line for line in block["body"].splitlines() if line.startswith("$ ")]
    parts = [f"{line}\n{shell(['bash', '-euo', 'pipefail'], line[2:])}" for line in commands]
    return f"<!-- run -->\n```console\n{''.join(parts)}```\n"


def shell(command: list[str], program: str) -> str:
    """Standard output of a program given on standard input; it must succeed."""
    print(program, file=sys.stderr)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command,
        input=program,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "PATH": path, "COLUMNS": "88"},
    )
    return done.stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
