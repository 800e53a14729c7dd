"""Measures one case, given as JSON, in a process of its own, and prints one JSON object.

    python scripts/speed/measure.py '{"path": "train", "network": "lstm", "file": "sentences.txt"}'

A program for `scripts/benchmark --against` gets the same argument, see `cases.Case`, and ends with
a line like {"seconds": 2.1, "tokens": 61440, "memory_mib": 612}. A case that it does not know
is answered with {}.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from speed.cases import CLOCKS, IN_PROCESS, Case


def main(argument: str) -> None:
    """Measure the case and print what was found."""
    case = Case.from_json(argument)
    found = in_process(case) if case.path in IN_PROCESS else command(case)
    print(json.dumps(found))


def in_process(case: Case) -> dict[str, Any]:
    """The speed of a path, its peak memory, its operators a piece, and its limit."""
    import torch
    from speed.limits import seconds_of
    from speed.paths import prepared, window

    clock = CLOCKS[case.clock]
    with prepared(case) as path:
        path.run()  # the first piece is slow
        found = window(path, case.seconds / 2, clock)
        memory = peak_mib()
        if case.device != "cpu":
            memory = torch.cuda.max_memory_allocated() / 2**20
        limit = seconds_of(path.work, case.device, case.precision, clock)
        if case.device == "cpu" and case.precision == "bf16":  # the weights stay in float32
            limit = min(limit, seconds_of(path.work, case.device, "float32", clock))
        again = window(path, case.seconds / 2, clock)  # on both sides of the limit
        operators = operators_of(path.run)  # last: the profiler takes memory
    seconds, tokens, pieces = (a + b for a, b in zip(found, again, strict=True))
    return {
        "seconds": seconds,
        "tokens": tokens,
        "pieces": pieces,
        "limit_seconds": limit * pieces,
        "memory_mib": round(memory),
        "operators": operators,
    }


def operators_of(run: Any) -> int:
    """The operators of torch that one piece of work calls, as its profiler counts them."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU]) as watched:
        run()
    events = [event for event in watched.events() or [] if event.name.startswith("aten::")]
    return sum(
        event.cpu_parent is None or not event.cpu_parent.name.startswith("aten::")
        for event in events
    )


def peak_mib() -> float:
    """The most memory that this process has had, in MiB."""
    kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kib / 2**10 if sys.platform != "darwin" else kib / 2**20


def command(case: Case) -> dict[str, Any]:
    """The time and the peak memory of a whole command; of `embed a file`, its tokens too."""
    with tempfile.TemporaryDirectory() as folder:
        arguments, tokens = arguments_of(case, Path(folder))
        environment = {**os.environ, "XDG_CACHE_HOME": folder, "PYTHONPATH": str(ROOT)}
        if case.network == "known text":
            run_textvae(arguments, environment, case.clock)
            shutil.rmtree(Path(folder) / "run")
        seconds, memory = run_textvae(arguments, environment, case.clock)
    return {"seconds": seconds, "tokens": tokens, "memory_mib": round(memory)}


ROOT = Path(__file__).resolve().parents[2]


def arguments_of(case: Case, folder: Path) -> tuple[list[str], int]:
    """The words after `textvae` for a case, with the files that they name; the tokens read."""
    if case.network in ("version", "help"):
        return [f"--{case.network}"], 0
    if case.path == "first_step":
        train = ["train", case.file, "--out", str(folder / "run"), "--max-steps", "1"]
        cache = ["--set", f"data.cache_dir={folder / 'cache'}", "--device", case.device]
        return [*train, *cache], Path(case.file).stat().st_size
    from dataclasses import replace

    from speed.paths import model_for

    model, texts = folder / "model", folder / "texts.txt"
    vae = model_for(replace(case, network="gru"))
    vae.save_pretrained(model)
    if case.network == "info":
        return ["info", str(model)], 0
    count = 1 if case.network == "one sentence" else 3000
    with open(case.file, encoding="utf-8") as stream:
        lines = [line for line, _ in zip(stream, range(count), strict=False)]
    texts.write_text("".join(lines), encoding="utf-8")
    tokens = sum(len(ids) + 1 for ids in vae.tokenizer.encode(lines))
    return ["embed", str(model), str(texts), "--out", str(folder / "vectors.npy")], tokens


def run_textvae(
    arguments: list[str], environment: dict[str, str], clock: str
) -> tuple[float, float]:
    """(seconds, peak memory in MiB) of `textvae ARGUMENTS`."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "textvae", *arguments]
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - started
    if process.returncode:
        sys.exit(f"textvae {' '.join(arguments)}: exit code {process.returncode}\n{said}")
    if clock == "cpu":
        seconds = usage.ru_utime + usage.ru_stime
    return seconds, usage.ru_maxrss / 2**10


if __name__ == "__main__":
    main(sys.argv[1])
