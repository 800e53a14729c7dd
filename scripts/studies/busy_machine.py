"""Speed of training on a quiet machine, and beside one program at full load.

Each training runs in a session of its own, as if it was started from another terminal than the
program beside it. The settings take turns, and the table has the medians of their repeats.

    python scripts/studies/busy_machine.py --table scripts/results/busy-machine.json
    python scripts/studies/busy_machine.py --spin-counts 0 1000 --settings two
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from commands import markdown, provenance

DATA = Path(__file__).resolve().parents[2] / "data" / "everyday"
SETTINGS = {"default": (), "one": ("--threads", "1"), "two": ("--threads", "2")}
LOG_STEPS = 10


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument(
        "--spin-counts", nargs="+", metavar="N", default=[""], help="values of GOMP_SPINCOUNT"
    )
    parser.add_argument("--busy-programs", nargs="+", type=int, metavar="N", default=[0, 1])
    parser.add_argument("--seconds", type=float, default=25.0, help="of each training")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--table", type=Path, metavar="FILE.json")
    options = parser.parse_args()
    rows: dict[tuple[str, str, int], dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(options.repeats):
            for spin_count in options.spin_counts:
                for setting in options.settings:
                    for busy in options.busy_programs:
                        with busy_programs(busy):
                            found = training(Path(folder), setting, spin_count, options.seconds)
                        row = rows.setdefault((setting, spin_count, busy), {})
                        row.setdefault("threads", []).append(found["threads"])
                        row.setdefault("speeds", []).append(found["speed"])
                        print(setting, spin_count, busy, found, file=sys.stderr)
    table = [
        {"setting": setting, **({"spin_count": spin_count} if spin_count else {}),
         "busy_programs": busy, "sentences_per_second": statistics.median(row["speeds"]), **row}
        for (setting, spin_count, busy), row in rows.items()
    ]  # fmt: skip
    print(markdown(list(table[0]), [[str(value) for value in row.values()] for row in table]))
    if options.table:
        kept = {**provenance("training beside a busy program"), "cores": os.cpu_count(),
                "rows": table}  # fmt: skip
        options.table.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


@contextmanager
def busy_programs(count: int) -> Iterator[None]:
    """A context in which `count` programs each keep a core busy."""
    command = [sys.executable, "-c", "while True: pass"]
    programs = [subprocess.Popen(command, start_new_session=True) for _ in range(count)]
    try:
        yield
    finally:
        for program in programs:
            program.kill()
            program.wait()


def training(folder: Path, setting: str, spin_count: str, seconds: float) -> dict[str, int]:
    """Threads of a training of some seconds, and its sentences per second after the first steps."""
    out = folder / "run"
    command = [
        sys.executable, "-m", "textvae", "--quiet", "train", DATA / "train.jsonl", "--valid",
        DATA / "valid.jsonl", "--out", out, "--overwrite", "--max-minutes", seconds / 60,
        *SETTINGS[setting], "--set", f"training.log_steps={LOG_STEPS}",
        "--set", f"data.cache_dir={folder / 'cache'}",
    ]  # fmt: skip
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    if spin_count:
        environment["GOMP_SPINCOUNT"] = spin_count
    subprocess.run([*map(str, command)], env=environment, start_new_session=True, check=True)
    lines = (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    records = [record for record in map(json.loads, lines) if record["event"] == "train"]
    speeds = [record["timing"]["sentences_per_second"] for record in records[1:]]
    if not speeds:
        sys.exit(f"fewer than {2 * LOG_STEPS} steps in {seconds:g} seconds; pass more --seconds")
    state = max((out / "checkpoints").glob("step-*/state.json"))
    threads = json.loads(state.read_text(encoding="utf-8"))["threads"]
    return {"threads": threads, "speed": round(statistics.harmonic_mean(speeds))}


if __name__ == "__main__":
    main()
