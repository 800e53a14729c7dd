"""The structure of the package in figures: sizes, lengths of functions, branches by kind, cycles.

    python scripts/structure.py
    python scripts/structure.py --root OTHER/CHECKOUT

A branch on the kind of model is a comparison with "vae", "ae" or "lm", or a lookup by them.
"""

from __future__ import annotations

import argparse
import ast
import re
from collections import Counter
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

KIND = re.compile(
    r"""(?:==|!=|\bin\b|\bis\b)\s*\(?\s*["'](?:vae|ae|lm)["']|["'](?:vae|ae|lm)["']\s*:"""
)


def main() -> None:
    """Print the sheet of a checkout."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[1])
    package = parser.parse_args().root / "textvae"
    texts = {path: path.read_text(encoding="utf-8") for path in sorted(package.rglob("*.py"))}
    lines = {path: text.count("\n") for path, text in texts.items()}
    files: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for path, count in lines.items():
        parts = path.relative_to(package).parts
        place = f"{parts[0]}/" if len(parts) > 1 else "(top)"
        files[place] += 1
        sizes[place] += count
    for place, count in sorted(sizes.items(), key=lambda item: -item[1]):
        print(f"{place:<16} {files[place]:>3} files {count:>6} lines")
    print(f"{'all':<16} {len(lines):>3} files {sum(lines.values()):>6} lines")
    longest = max(lines, key=lambda path: lines[path])
    print(f"longest file     {longest.relative_to(package)}, {lines[longest]} lines")
    lengths = functions(texts)
    ordered = sorted(length for length, _ in lengths)
    print(f"longest function {max(lengths)[1]}, {ordered[-1]} lines with its docstring")
    print(
        f"functions        {len(ordered)}: median {ordered[len(ordered) // 2]}, "
        f"95th percentile {ordered[int(0.95 * len(ordered))]} lines with their docstrings"
    )
    branches = {path: len(KIND.findall(text)) for path, text in texts.items()}
    found = {path: count for path, count in branches.items() if count}
    print(f"branches by kind {sum(found.values())} in {len(found)} files")
    print(f"import cycle     {cycle(package, texts) or 'none'}")


def functions(texts: dict[Path, str]) -> list[tuple[int, str]]:
    """(lines, name) of each function and method."""
    return [
        ((node.end_lineno or node.lineno) - node.lineno + 1, f"{path.name}:{node.name}")
        for path, text in texts.items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def cycle(package: Path, texts: dict[Path, str]) -> str:
    """The first cycle of imports, if there is one."""
    names = {
        ".".join(("textvae", *path.relative_to(package).with_suffix("").parts)): text
        for path, text in texts.items()
    }
    graph: dict[str, set[str]] = {}
    for name, text in names.items():
        found: set[str] = set()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and node.module:
                found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        graph[name] = found & names.keys()
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return " <- ".join(error.args[1])
    return ""


if __name__ == "__main__":
    main()
