"""Run the examples of README.md and docs/*.md and write their output into the pages.

A block after the line `<!-- run -->` is run in the root of the repository:

- `console`: each line that begins with `$ ` is a shell command. The lines after the command
  become its standard output.
- `python`: the `text` block after it becomes its standard output.

The examples use the models of `scripts/demo` and of the README. README.md comes first, then
docs/*.md in the order of their names.

    python scripts/tour.py           writes the pages
    python scripts/tour.py --check   names the pages that would change, and fails if there are any
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MARK = "<!-- run -->"
BLOCK = re.compile(
    rf"^{MARK}\n```(?P<kind>console|python)\n(?P<body>.*?)^```\n"
    r"(?P<output>\n```text\n.*?^```\n)?",
    re.DOTALL | re.MULTILINE,
)

Shell = Callable[[list[str], str], str]


def main(arguments: list[str]) -> int:
    """Write or check the pages; the exit status."""
    changed = []
    for page in pages(ROOT):
        before = page.read_text(encoding="utf-8")
        after = rerun(before, shell)
        if after == before:
            continue
        changed.append(page.relative_to(ROOT))
        if "--check" not in arguments:
            page.write_text(after, encoding="utf-8")
    for name in changed:
        print(f"{name} differs from the output of its examples", file=sys.stderr)
    return int(bool(changed) and "--check" in arguments)


def pages(root: Path) -> list[Path]:
    """README.md, then the pages of docs/ in the order of their names."""
    return [root / "README.md", *sorted((root / "docs").glob("*.md"))]


def rerun(page: str, run: Shell) -> str:
    """The text of a page with the output of a fresh run of its examples.

    Raises:
        ValueError: a mark without a block that can be run.
    """
    marks = sum(line == MARK for line in page.splitlines())
    if marks != len(BLOCK.findall(page)):
        raise ValueError(f"{MARK} must stand directly before a console or python block")
    return BLOCK.sub(lambda block: with_output(block, run), page)


def with_output(block: re.Match[str], run: Shell) -> str:
    """The block with the output of a fresh run."""
    if block["kind"] == "python":
        output = run([sys.executable, "-"], block["body"])
        return f"{MARK}\n```python\n{block['body']}```\n\n```text\n{output}```\n"
    commands = [line for line in block["body"].splitlines() if line.startswith("$ ")]
    parts = [f"{line}\n{run(['bash', '-euo', 'pipefail'], line[2:])}" for line in commands]
    return f"{MARK}\n```console\n{''.join(parts)}```\n"


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
