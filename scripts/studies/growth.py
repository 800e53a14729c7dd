"""Time and memory of each path as sentences, length, vocabulary, latent size and samples double.

    python scripts/studies/growth.py --json scripts/results/growth.json

Each figure is that of a process of its own. `growth` is how much the last doubling added, over what
the doubling before added: 2 is proportional to the size, beyond any part that does not grow; 4 is
quadratic.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from commands import markdown, provenance

PATHS = ("train", "greedy", "sample", "nll_iw", "embed")
SIZES = ("sentences", "length", "vocabulary", "latent", "samples")
NOT_OF_PATH = {path: ("samples",) for path in PATHS if path != "nll_iw"}
LITTLE = 0.1  # share of the whole that the last doubling adds; below, noise decides the growth
TIMES = 3  # that a piece of work is timed


@dataclass(frozen=True)
class Sizes:
    """How much work a path has."""

    sentences: int = 64
    length: int = 20  # tokens, without the end token
    vocabulary: int = 4000
    latent: int = 32
    samples: int = 20  # of nll_iw


def main(arguments: list[str]) -> None:
    """Measure all paths at all sizes and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--paths", nargs="+", choices=PATHS, default=list(PATHS))
    parser.add_argument("--network", default="gru", choices=("gru", "lstm", "transformer"))
    parser.add_argument("--doublings", type=int, default=3, help="two or more")
    parser.add_argument("--json", type=Path, metavar="FILE")
    chosen = parser.parse_args(arguments)
    os.environ["OMP_NUM_THREADS"] = "1"
    import speed.paths  # noqa: F401  # once, before the processes that share it

    rows = []
    for path in chosen.paths:
        for name in SIZES:
            if name not in NOT_OF_PATH.get(path, ()):
                rows.append(grown(path, chosen.network, name, chosen.doublings))
                print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    if chosen.json is not None:
        report = {**provenance("growth of the hot paths"), "network": chosen.network, "rows": rows}
        chosen.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(table(rows))


def grown(path: str, network: str, name: str, doublings: int) -> dict[str, Any]:
    """The times and memory of a path as one size doubles, and their growth."""
    found = [in_a_process(path, network, size) for size in doubled(Sizes(), name, doublings)]
    seconds, memory = ([row[key] for row in found] for key in ("seconds", "memory_mib"))
    return {
        "path": path,
        "doubled": name,
        "from": getattr(Sizes(), name),
        "seconds": seconds,
        "memory_mib": memory,
        "growth": growth(seconds),
        "memory_growth": growth(memory),
    }


def doubled(sizes: Sizes, name: str, doublings: int) -> Iterator[Sizes]:
    """The sizes, then with one of them twice, four times, ... as large."""
    for times in range(doublings + 1):
        yield replace(sizes, **{name: getattr(sizes, name) << times})


def growth(values: list[float]) -> float | None:
    """What the last doubling added, over what the doubling before added; None if that is little.

    Of a + b x this is 2 for any fixed part a, of a + b x^2 it is 4. At most 100.
    """
    before, last = values[-2] - values[-3], values[-1] - values[-2]
    if last < LITTLE * values[-1]:
        return None
    return round(last / max(before, last / 100), 2)


def in_a_process(path: str, network: str, sizes: Sizes) -> dict[str, float]:
    """`measured` in a process of its own, whose peak memory is that of the path."""
    with multiprocessing.Pool(1) as pool:
        return pool.apply(measured, (path, network, vars(sizes)))


def measured(path: str, network: str, sizes: dict[str, int]) -> dict[str, float]:
    """Processor seconds of one piece of work, and the peak memory."""
    import numpy as np
    from speed.cases import Case, random_sentences
    from speed.measure import peak_mib
    from speed.paths import prepared

    size = Sizes(**sizes)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "texts.txt"
        count = max(2 * size.sentences, size.vocabulary // size.length + 1)
        lines = random_sentences(np.full(count, size.length), size.vocabulary)
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        case = Case(path, network, file=str(file), **sizes)
        pieces: list[tuple[int, float]] = []
        with prepared(case) as ready:
            while (seconds := of_whole_pieces(pieces)) is None:
                started = time.process_time()
                tokens = ready.run()
                ready.wait()
                pieces.append((tokens, time.process_time() - started))
    return {"seconds": round(seconds, 4), "memory_mib": round(peak_mib())}


def of_whole_pieces(pieces: list[tuple[int, float]]) -> float | None:
    """The least time of (tokens, seconds) after the first; None while there are too few.

    Pieces with fewer tokens, such as the last batch of an epoch, do not count.
    """
    most = max((tokens for tokens, _ in pieces), default=0)
    whole = [seconds for tokens, seconds in pieces if tokens == most]
    return min(whole[1:]) if len(whole) > TIMES else None


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as a Markdown table: seconds and MiB from the smallest size to the largest."""
    heading = ["path", "doubled, from", "seconds", "growth", "peak MiB", "growth"]
    return markdown(
        heading,
        [
            [
                row["path"],
                f"{row['doubled']} {row['from']:,}",
                ", ".join(f"{value:.3g}" for value in row["seconds"]),
                shown(row["growth"]),
                ", ".join(f"{value:,.0f}" for value in row["memory_mib"]),
                shown(row["memory_growth"]),
            ]
            for row in rows
        ],
    )


def shown(value: float | None) -> str:
    """A growth in a table."""
    return "" if value is None else str(value)


if __name__ == "__main__":
    main(sys.argv[1:])
