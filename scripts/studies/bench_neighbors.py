"""Time and memory of the search for neighbors among the vectors of a .npy file, on one thread.

Each measurement runs in a process of its own, whose peak memory is reported. `exact` includes
reading the file; `build` and `search` are of an index of usearch, with its recall. The vectors are
random, or those of files that `textvae embed` wrote; then the queries are vectors of the file, and
the recall leaves each query itself out, as the recall of `textvae neighbors` does.

    python scripts/studies/bench_neighbors.py --vectors 1000000 --indexed 20000 \\
        --table scripts/results/bench-neighbors.json
    python scripts/studies/bench_neighbors.py --files latents.npy \\
        --table scripts/results/bench-neighbors-sentences.json
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from commands import markdown, provenance

from textvae.api.approximating import n_candidates
from textvae.data.vector_files import open_vectors
from textvae.latent.approximate import VectorIndex
from textvae.latent.neighbors import Near, NearestVectors, recall
from textvae.progress import no_progress

DIMENSIONS = (32, 384)
QUERIES = (1, 100, 1000)
K = 10


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vectors", type=int, default=1_000_000, metavar="N")
    parser.add_argument("--indexed", type=int, default=0, metavar="N", help="vectors of an index")
    parser.add_argument("--files", type=Path, nargs="+", metavar="FILE.npy", default=[])
    parser.add_argument("--dimensions", type=int, nargs="+", default=DIMENSIONS, metavar="D")
    parser.add_argument("--table", type=Path, metavar="FILE.json")
    parser.add_argument("--one", nargs=3, metavar="X", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        how, path, queries = options.one
        print(json.dumps({"exact": exact, "index": indexed}[how](Path(path), int(queries))))
        return
    rows = [
        measured(how, path, queries)
        for path in options.files
        for how, queries in [*(("exact", n) for n in QUERIES), ("index", QUERIES[-1])]
    ]
    with tempfile.TemporaryDirectory() as folder:
        for dimensions in options.dimensions if not options.files else ():
            jobs = [("exact", options.vectors, n) for n in QUERIES]
            jobs += [("index", options.indexed, QUERIES[-1])] if options.indexed else []
            for how, n, queries in jobs:
                rows.append(measured(how, written(Path(folder), n, dimensions), queries))
    names = list(dict.fromkeys(name for row in rows for name in row))
    print(markdown(names, [[str(row.get(name, "")) for name in names] for row in rows]))
    if options.table:
        kept = {**provenance("neighbors, 10 for each query"), "rows": rows}
        options.table.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def written(folder: Path, n: int, dimensions: int) -> Path:
    """A file of n random vectors."""
    path = folder / f"{n}-{dimensions}.npy"
    if not path.exists():
        random = np.random.default_rng(0)
        array = np.lib.format.open_memmap(path, "w+", np.float32, (n, dimensions))
        for first in range(0, n, 10_000):
            part = array[first : first + 10_000]
            part[:] = random.standard_normal(part.shape, dtype=np.float32)
    return path


def measured(how: str, path: Path, queries: int) -> dict[str, float | str]:
    """A row of the table."""
    file = open_vectors(path)
    row = {"search": how, "vectors": file.n, "dimensions": file.width, "queries": queries,
           **in_a_process(how, path, queries)}  # fmt: skip
    print(json.dumps(row), file=sys.stderr)
    return row


def in_a_process(how: str, path: Path, queries: int) -> dict[str, float]:
    """The figures of one measurement."""
    command = [sys.executable, __file__, "--one", how, str(path), str(queries)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return json.loads(subprocess.run(command, stdout=-1, check=True, env=environment).stdout)


def exact(path: Path, queries: int) -> dict[str, float]:
    """Seconds of the exact search, and peak memory beyond that of the imports."""
    before, started = peak(), time.perf_counter()
    _search(path, *_queries(path, queries))
    return {"seconds": round(time.perf_counter() - started, 2), "more_mib": peak() - before}


def indexed(path: Path, queries: int) -> dict[str, float]:
    """Seconds to build an index and to search it, peak memory, and recall.

    An exact neighbor is found if it is among the candidates, which the command scores exactly.
    """
    file, (asked, own) = open_vectors(path), _queries(path, queries)
    before, started = peak(), time.perf_counter()
    blocks = ((block.first, block.vectors) for block in file.blocks())
    index = VectorIndex.build(blocks, file.width, "cosine", n=file.n, threads=1,
                              progress=no_progress)  # fmt: skip
    built = time.perf_counter()
    found = index.search(asked, n_candidates(K, file.n))  # as `textvae neighbors` does
    done, more = time.perf_counter(), peak() - before
    near = [
        [Near(int(place), 0.0) for place in row if place != itself]
        for row, itself in zip(found, own, strict=True)
    ]
    return {
        "build_seconds": round(built - started, 1),
        "seconds": round(done - built, 3),
        "more_mib": more,
        "recall": round(recall(near, _search(path, asked, own)), 3),
    }


def _queries(path: Path, n: int) -> tuple[np.ndarray, list[int | None]]:
    """n vectors, and of each its own index in the file; None: the vector is not in the file."""
    file, random = open_vectors(path), np.random.default_rng(1)
    if path.stem == f"{file.n}-{file.width}":  # written here: random vectors
        return random.normal(size=(n, file.width)), [None] * n
    own = random.choice(file.n, n, replace=False)
    return np.load(path, mmap_mode="r")[own].astype(float), own.tolist()


def _search(path: Path, queries: np.ndarray, own: list[int | None]) -> list[list[Near]]:
    nearest = NearestVectors(queries, K, left_out=own)
    for block in open_vectors(path).blocks():
        nearest.add(block.vectors, block.first)
    return nearest.found()


def peak() -> int:
    """Peak memory of the process so far, MiB.

    From /proc, because the figure of getrusage begins with that of the parent process.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) >> 10


if __name__ == "__main__":
    main()
