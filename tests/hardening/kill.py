"""Kill a training again and again, and compare what it ends with to the run that was never killed.

A tiny model is trained on data/everyday twice. One training is left alone. The other is killed by
SIGKILL, from inside, at a random moment of a training step, of an evaluation or of the writing of a
checkpoint, and resumed, until all kills are done; then it runs to its end.

    python tests/hardening/kill.py --kills 50 --each 10 --out runs/kill --table kill.json

Prints how many kills met which phase, and the digests of weights, optimizer state and metrics of
both; it fails where they differ.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
from commands import provenance

WHAT = (
    "a tiny training killed by SIGKILL inside steps, evaluations and the writing of checkpoints, "
    "resumed each time, beside the same one left alone"
)
ROOT = Path(__file__).resolve().parents[2]
PHASES = {"step": "train_step", "evaluation": "evaluate", "checkpoint": "save_checkpoint"}
OPTIONS = {
    "hidden_size": 32, "embedding_size": 32, "latent_size": 8, "vocab_size": 1000,
    "batch_size": 32, "max_steps": 1200, "log_steps": 10, "eval_steps": 20, "threads": 1,
    "device": "cpu", "target_kl": 4.0,
}  # fmt: skip


def main(arguments: list[str]) -> None:
    """Train both, count and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50, metavar="N")
    parser.add_argument("--each", type=int, default=10, metavar="N", help="least of each phase")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--table", type=Path, metavar="FILE.json")
    parser.add_argument("--child", nargs=3, metavar=("OUT", "PHASE", "SEED"), help="for itself")
    options = parser.parse_args(arguments)
    if options.child:
        out, phase, seed = options.child
        train(Path(out), phase, int(seed))
        return
    if options.out.exists():
        sys.exit(f"{options.out} exists; name a new folder")
    options.out.mkdir(parents=True)
    whole, torn = options.out / "whole", options.out / "torn"
    run(whole, "none", 0)
    counts = kill_and_resume(torn, options)
    digests = {name: digests_of(folder) for name, folder in (("whole", whole), ("torn", torn))}
    report = provenance(WHAT) | {"kills": sum(counts.values()), **counts, "digests": digests}
    print(json.dumps(report, indent=1))
    if options.table:
        options.table.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if digests["whole"] != digests["torn"]:
        sys.exit("the run that was killed ended elsewhere")


def kill_and_resume(out: Path, options: argparse.Namespace) -> Counter[str]:
    """Kill a run until there are enough kills of each phase, then let it end; the counts."""
    counts: Counter[str] = Counter(dict.fromkeys(PHASES, 0))
    for number in range(10 * options.kills):
        wanted = min(PHASES, key=lambda phase: counts[phase])
        if counts.total() >= options.kills and counts[wanted] >= options.each:
            break
        done = run(out, wanted, options.seed + number)
        if done == 0:
            sys.exit(f"the run ended after {counts.total()} kills; it needs more steps")
        counts[(out.parent / "killed").read_text(encoding="utf-8")] += 1
        print(f"kill {counts.total()}: {dict(counts)}", file=sys.stderr)
    run(out, "none", 0)
    return counts


def run(out: Path, phase: str, seed: int) -> int:
    """A child that trains until it is killed in `phase`, or to the end; 0 at the end.

    Raises:
        SystemExit: it ended in any other way.
    """
    command = [sys.executable, __file__, "--out", str(out.parent), "--child"]
    child = [str(out), phase, str(seed)]
    done = subprocess.run([*command, *child], capture_output=True, text=True)
    if done.returncode not in (0, -signal.SIGKILL):
        sys.exit(f"the training ended with {done.returncode}:\n{done.stderr}")
    return done.returncode


def train(out: Path, phase: str, seed: int) -> None:
    """Begin or resume the training; a thread kills the process somewhere in `phase`."""
    from textvae import TextVAE
    from textvae.config import Config
    from textvae.training import loop
    from textvae.training.run import TrainingRun

    now = ["elsewhere"]  # the phase that the process is in

    def watched(name: str, function: Callable[..., Any], entries: int) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal entries
            entries -= 1
            before, now[0] = now[0], name
            if entries == 0 and name == phase:
                delay = chance.random() * durations[name]
                threading.Thread(target=kill, args=(delay,), daemon=True).start()
            started = time.monotonic()
            try:
                return function(*arguments, **options)
            finally:
                now[0], durations[name] = before, time.monotonic() - started

        return call

    def kill(delay: float) -> None:
        time.sleep(delay)
        (out.parent / "killed").write_text(now[0], encoding="utf-8")
        os.kill(os.getpid(), signal.SIGKILL)

    chance = random.Random(seed)
    durations = dict.fromkeys(PHASES, 0.01)  # seconds that each took the last time
    most = {"step": 25, "evaluation": 2, "checkpoint": 3}  # entries before the kill
    for name, function in PHASES.items():
        entries = chance.randint(1, most[name])
        owner = TrainingRun if name == "checkpoint" else loop
        setattr(owner, function, watched(name, getattr(owner, function), entries))
    config = Config.resolve(options={**OPTIONS, "cache_dir": str(out.parent / "cache")})
    data = ROOT / "data" / "everyday"
    begun = (out / "checkpoints").is_dir() and any((out / "checkpoints").iterdir())
    TextVAE.train(data / "train.jsonl", valid=data / "valid.jsonl", out=out, config=config,
                  resume=begun, overwrite=not begun and out.exists())  # fmt: skip


def digests_of(out: Path) -> dict[str, str]:
    """SHA-256 of the model, of the last checkpoint's tensors, and of the metrics without timing."""
    newest = sorted((out / "checkpoints").iterdir())[-1]
    found = {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in (out / "model.safetensors", *sorted(newest.glob("*.safetensors")))
    }
    lines = (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    records = [{k: v for k, v in json.loads(line).items() if k != "timing"} for line in lines]
    found["metrics.jsonl"] = hashlib.sha256(json.dumps(records).encode()).hexdigest()
    return found


if __name__ == "__main__":
    main(sys.argv[1:])
