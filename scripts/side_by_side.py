"""Print the reports of `textvae evaluate --json` beside each other: a row a figure."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(paths: list[str]) -> None:
    """One column a report, under its file's name; a dash where a figure is not defined."""
    reports = [json.loads(Path(path).read_text(encoding="utf-8")) for path in paths]
    names = [Path(path).stem for path in paths]
    keys = list(dict.fromkeys(k for r in reports for k in r if not isinstance(r[k], str)))
    widths = [
        max([len(name)] + [len(shown(r.get(k))) for k in keys])
        for name, r in zip(names, reports, strict=True)
    ]
    first = max(map(len, keys))
    print(" " * first, *(name.rjust(width) for name, width in zip(names, widths, strict=True)))
    for key in keys:
        cells = (shown(r.get(key)).rjust(w) for r, w in zip(reports, widths, strict=True))
        print(key.ljust(first), *cells)


def shown(value: object) -> str:
    """A figure as a table shows it."""
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main(sys.argv[1:])
