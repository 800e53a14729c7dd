"""Train one model by each method on a corpus and put their figures into one table.

Every model has the same network, tokenizer, seed and minutes on its own thread; two are
trained at a time. What is finished stands in its folder and is not done again, so a
stopped experiment goes on where it was.

    python scripts/studies/methods.py --train A.txt --valid B.txt --test C.txt --minutes 3 \\
        --out runs/methods --table scripts/results/methods-a.json -- --tokenizer word

What follows `--` goes to each training.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from commands import commit, markdown, textvae

NO_FLOOR = ["--free-bits", "0"]
METHODS: dict[str, list[str]] = {
    "lm": ["--model", "lm"],
    "ae": ["--model", "ae"],
    "plain": ["--kl-schedule", "constant", *NO_FLOOR],
    "annealed": ["--kl-schedule", "linear", *NO_FLOOR],
    "annealed-last": ["--kl-schedule", "linear", *NO_FLOOR, "--set", "model.pooling=last"],
    "cyclical": ["--kl-schedule", "cyclical", *NO_FLOOR],
    "free-bits": ["--free-bits-mode", "batch"],
    "free-bits-dimension": ["--free-bits-mode", "dimension"],
    "ae-free-bits": ["--set", "objective.pretrain_share=0.2"],
    "batch-norm": ["--set", "model.posterior_batch_norm=0.7", *NO_FLOOR],
    "aggressive": ["--set", "objective.aggressive=true", *NO_FLOOR],
    "target-kl": ["--target-kl", "8"],
    "mmd": ["--model", "ae", "--set", "objective.mmd_weight=10"],
    "denoising-adversarial": [
        *("--model", "ae", "--set", "objective.adversarial_weight=10"),
        *("--set", "objective.noise_drop=0.3"),
    ],
}
COLUMNS = ("nll_iw", "nll_elbo", "rec", "kl", "mi", "z_gain", "active_units", "bleu")
QUALITY = ("self_bleu", "distinct_2", "copied", "ppl_forward", "ppl_reverse")


def main(arguments: list[str]) -> None:
    """Train, evaluate, and print the table."""
    options = parsed(arguments)
    asked = [*options.methods, *options.second_seed]
    if unknown := [name for name in asked if name not in METHODS]:
        sys.exit(f"unknown methods {unknown}; known: {', '.join(METHODS)}")
    if options.scorer and not options.quality:
        sys.exit("--scorer judges samples; say how many by --quality N")
    trained_at = commit()
    runs = [(name, options.seed) for name in options.methods]
    runs += [(name, options.seed + 1) for name in options.second_seed]
    with ThreadPoolExecutor(options.jobs) as pool:
        reports = list(pool.map(lambda run: report_of(*run, options), runs))
    print(table(reports))
    if options.table:
        kept = {
            "what": "each method with the same network, tokenizer and minutes; one thread each, "
            f"{options.jobs} at a time",
            "commit": trained_at,
            "command": "python scripts/studies/methods.py " + " ".join(arguments),
            "methods": {name: METHODS[name] for name in METHODS if name in asked},
            "reports": reports,
        }
        options.table.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def parsed(arguments: list[str]) -> argparse.Namespace:
    """The options; what follows `--` becomes `extra`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("train", "valid", "test"):
        parser.add_argument(f"--{name}", required=True, metavar="FILE")
    parser.add_argument("--minutes", required=True, metavar="M", help="of each training")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="models go here")
    parser.add_argument("--table", type=Path, metavar="FILE.json", help="figures go here")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), metavar="NAME")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--second-seed",
        nargs="*",
        default=[],
        metavar="NAME",
        help="also trained with the next seed",
    )
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="trainings at a time")
    parser.add_argument("--limit", default="500", metavar="N", help="test sentences")
    parser.add_argument("--quality", metavar="N", help="judge N samples, too")
    parser.add_argument("--scorer", metavar="DIR", help="by this language model")
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    options = parser.parse_args(arguments[:cut])
    options.extra = arguments[cut + 1 :]
    return options


def report_of(name: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """The figures of one training, with its steps and epochs."""
    folder = options.out / f"{name}-{seed}"
    finished = folder.with_suffix(".json")
    if not finished.is_file():
        log = folder.with_suffix(".log")
        log.parent.mkdir(parents=True, exist_ok=True)
        textvae("train", options.train, "--valid", options.valid, "--out", folder, "--overwrite",
                "--max-minutes", options.minutes, "--threads", "1", "--seed", seed,
                *METHODS[name], *options.extra, log=log)  # fmt: skip
        judged = ["--quality", options.quality] if options.quality else []
        if options.scorer:
            judged += ["--scorer", options.scorer]
        textvae("evaluate", folder, options.test, "--limit", options.limit, "--samples", "100",
                *judged, "--json", "--out", finished, log=log)  # fmt: skip
    report = json.loads(finished.read_text(encoding="utf-8"))
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    last = [line for line in map(json.loads, lines) if line["event"] == "valid"][-1]
    return {"method": name, "train_seed": seed, "steps": last["step"], "epochs": last["epoch"],
            **report, "model": f"{name}-{seed}"}  # fmt: skip


def table(reports: Sequence[dict[str, Any]]) -> str:
    """A Markdown table: a row a training, a dash where a figure is not defined."""
    keys = [key for key in COLUMNS + QUALITY if any(key in report for report in reports)]
    rows = []
    for report in reports:
        known = [report["method"], str(report["train_seed"]), f"{report['epochs']:.1f}"]
        rows.append(known + [shown(report, key) for key in keys])
    return markdown(["method", "seed", "epochs", *keys], rows)


def shown(report: dict[str, Any], key: str) -> str:
    """A figure, with the error of the likelihood."""
    value = report.get(key)
    if value is None:
        return "-"
    if isinstance(value, int):
        return str(value)
    error = report.get(f"{key}_se") if key == "nll_iw" else None
    return f"{value:.2f}" if error is None else f"{value:.2f} ± {error:.2f}"


if __name__ == "__main__":
    main(sys.argv[1:])
