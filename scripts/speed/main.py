"""The speed of each hot path beside the limit of this machine.

    scripts/benchmark --json speed.json
    scripts/benchmark --paths train greedy --networks lstm --compare speed.json
    scripts/benchmark --paths embed --against "python other_program.py"

Each figure is the median of repeats. All cases take turns, so that a slow minute of the machine
meets all of them. `limit / time` is the time of the same matrix products and softmaxes alone, in
the fastest layout, over the time of the path. Operators are those of torch in one piece of work: a
step, a batch of sentences. `--against` names another program that measures the same cases; see
scripts/speed/measure.py for what it gets and prints. The networks have one layer (the Transformer
two) of 256, embeddings of 256, 32 latent dimensions and 10,000 words.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from commands import provenance
from speed.cases import (
    CLOCKS,
    LENGTH,
    NETWORKS,
    PATHS,
    SENTENCES,
    Case,
    cases,
    random_sentences,
    written_lengths,
)
from speed.results import Row, compared, summary, table

LINES = 20_000  # of each of the two files


def main(arguments: list[str]) -> None:
    """Measure all cases in turns and print a table."""
    chosen = parsed(arguments)
    own = [sys.executable, str(Path(__file__).with_name("measure.py"))]
    other = shlex.split(chosen.against) if chosen.against else None
    old = json.loads(chosen.compare.read_text(encoding="utf-8")) if chosen.compare else None
    with tempfile.TemporaryDirectory() as folder:
        files = texts(Path(folder), chosen.file)
        found = cases(
            chosen.paths,
            chosen.networks,
            chosen.devices or devices(),
            chosen.precisions or precisions(),
            files,
            chosen.seconds,
            chosen.clock,
            {"train": chosen.batch, "nll_iw": chosen.likelihoods},
        )
        runs: dict[Case, list[Row]] = {case: [] for case in found}
        others: dict[Case, list[Row]] = {case: [] for case in found}
        for repeat in range(chosen.repeats):
            for case in found:
                print(f"{repeat + 1}/{chosen.repeats} {case.name}", file=sys.stderr, flush=True)
                turns = [(own, runs), *([(other, others)] if other else [])]
                for program, kept in turns if repeat % 2 == 0 else reversed(turns):
                    kept[case].append(measured(program, case, chosen.threads))
    rows = [summary(case.name, runs[case], others[case]) for case in found]
    report = {**provenance("speed of the hot paths"), **machine(chosen), "rows": rows}
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(table(rows if old is None else compared(rows, old["rows"])))


def parsed(arguments: list[str]) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--paths", nargs="+", choices=PATHS, default=list(PATHS))
    add("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    add("--devices", nargs="+", help="cpu, cuda; default: all of this machine")
    add("--precisions", nargs="+", choices=("float32", "bf16"), help="default: what suits it")
    add("--file", help="sentences, one a line; default: random words")
    sizes: dict[str, Any] = {"type": int, "nargs": "+", "metavar": "N"}
    add("--batch", **sizes, default=[SENTENCES["train"]], help="sentences of a training step")
    add("--likelihoods", **sizes, default=[SENTENCES["nll_iw"]], help="sentences of nll_iw")
    add("--seconds", type=float, default=2.0, help="of each measurement")
    add("--clock", choices=CLOCKS, default="wall", help="cpu: processor seconds, on a busy machine")
    add("--repeats", type=int, default=3)
    add("--threads", type=int, default=os.cpu_count() or 1)
    add("--json", type=Path, metavar="FILE", help="also write the figures as JSON")
    add("--compare", type=Path, metavar="OLD.json", help="figures of an earlier run")
    add("--against", metavar="COMMAND", help="another program, measured in turns")
    return parser.parse_args(arguments)


def texts(folder: Path, file: str | None) -> dict[str, str]:
    """The files of the two kinds of text: sentences of a fixed length, and a file."""
    fixed = folder / "fixed.txt"
    fixed.write_text("\n".join(random_sentences(np.full(LINES, LENGTH))) + "\n", encoding="utf-8")
    if file is None:
        lines = "\n".join(random_sentences(written_lengths(LINES)))
        file = str(folder / "file.txt")
        Path(file).write_text(lines + "\n", encoding="utf-8")
    return {"fixed": str(fixed), "file": str(Path(file).resolve())}


def devices() -> list[str]:
    """The CPU, and the GPU where there is one."""
    import torch

    return ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def precisions() -> list[str]:
    """float32, and bf16 where the processor or the GPU has it."""
    import torch

    from textvae.training.accelerator import choose_precision

    kinds = {choose_precision("auto", torch.device(device)) for device in devices()}
    return ["float32", *(["bf16"] if "bf16" in kinds else [])]


def measured(program: list[str], case: Case, threads: int) -> Row:
    """What a program prints about a case; its last line of output is JSON."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "true"}
    if threads == 1:
        environment["TOKENIZERS_PARALLELISM"] = "false"
    done = subprocess.run(
        [*program, case.to_json()], env=environment, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"{case.name}: exit code {done.returncode}\n{done.stderr}")
    found: Row = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def machine(chosen: argparse.Namespace) -> dict[str, Any]:
    """What the figures depend on."""
    import torch

    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
        name = next((line.partition(": ")[2] for line in lines if "model name" in line), name)
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    isa = torch.backends.cpu.get_cpu_capability()
    how = {"threads": chosen.threads, "clock": chosen.clock}
    return {"cpu": name, "isa": isa, "gpu": gpu, "torch": torch.__version__, **how}


if __name__ == "__main__":
    main(sys.argv[1:])
