"""Training steps a second on a device, by network, batch and precision, with and without graphs.

    python scripts/studies/bench_steps.py --device cuda --table scripts/results/gpu-steps.json

Sentences of random tokens, of lengths like those of the Penn treebank (21 tokens on average, 83 at
most), over 10,002 tokens. Each figure is the median of a few windows; the share of padding stands
beside it. Real tokens a second count no padding.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
import warnings
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from commands import provenance

from textvae.config import Config
from textvae.data.prepare import load_corpora
from textvae.training.accelerator import accelerator_for, synchronize
from textvae.training.loop import train_step
from textvae.training.reporting import LoggingReporter
from textvae.training.run import TrainingRun

VOCABULARY = 10_000
SHAPES: dict[str, dict[str, Any]] = {
    "lstm 1024, batch 32": {
        "encoder": "lstm", "decoder": "lstm", "hidden_size": 1024, "embedding_size": 512,
        "batch_size": 32,
    },
    "lstm 1024, batch 128": {
        "encoder": "lstm", "decoder": "lstm", "hidden_size": 1024, "embedding_size": 512,
        "batch_size": 128,
    },
    "gru 256, batch 64": {"batch_size": 64},
    "lstm 256, batch 64": {"encoder": "lstm", "decoder": "lstm", "batch_size": 64},
    "transformer 256, batch 64": {
        "encoder": "transformer", "decoder": "transformer", "layers": 2, "batch_size": 64,
    },
    "recipe gpu": {"recipe": "gpu"},
}  # fmt: skip


def main(arguments: list[str]) -> None:
    """Measure all shapes and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--shapes", nargs="*", default=list(SHAPES))
    parser.add_argument("--seconds", type=float, default=1.5, help="of each window")
    parser.add_argument("--windows", type=int, default=3)
    parser.add_argument("--sentences", type=int, default=20_000)
    parser.add_argument("--table", type=Path, metavar="FILE.json")
    options = parser.parse_args(arguments)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        texts = sentences(options.sentences)
        for name in options.shapes:
            for precision in ("float32", "bf16"):
                for graphs in (True, False):
                    chosen = {"device": options.device, "precision": precision}
                    row = measure(
                        name,
                        {**SHAPES[name], **chosen, "cuda_graphs": graphs},
                        texts,
                        folder,
                        options,
                    )
                    rows.append(row)
                    print(json.dumps(row), flush=True)
    if options.table is not None:
        report = {**provenance("training steps"), "device": device_name(), "rows": rows}
        options.table.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def sentences(count: int) -> list[str]:
    """Random words, the frequent ones first, of lengths like those of the Penn treebank."""
    random = np.random.default_rng(0)
    lengths = np.clip(random.gamma(4.4, 4.6, count).astype(int), 2, 82)
    ranks = np.exp(random.uniform(0, np.log(VOCABULARY), int(lengths.sum()))).astype(int)
    words = [f"w{rank}" for rank in ranks]
    ends = np.cumsum(lengths)
    every = " ".join(f"w{rank}" for rank in range(VOCABULARY))
    texts = [" ".join(words[end - n : end]) for end, n in zip(ends, lengths, strict=True)]
    return [*texts, *(" ".join(every.split()[i : i + 80]) for i in range(0, VOCABULARY, 80))]


def measure(
    name: str, options: dict[str, Any], texts: list[str], folder: str, how: argparse.Namespace
) -> dict[str, Any]:
    """The speed of one shape: the median over windows of steps that are not waited for."""
    recipe = options.pop("recipe", None)
    fixed = {"tokenizer": "word", "max_steps": 10**6, "cache_dir": folder}
    config = Config.resolve(recipe=recipe, options={**options, **fixed})
    corpora = load_corpora(config.data, config.tokenizer, texts=texts)
    with accelerator_for(config.training) as accelerator:
        run = TrainingRun(config, corpora, Path(folder), accelerator, LoggingReporter())
        batches = cycle(list(islice(run.rest_of_epoch(), 200)))
        warm = 3 * len({batch.longest for batch in islice(batches, 200)}) + 200
        with warnings.catch_warnings(record=True) as caught:
            for batch in islice(batches, warm if run.device.type == "cuda" else 3):
                train_step(run, batch, kl_weight=0.5, learning_rate=1e-3)
        synchronize(run.device)
        speeds, steps = [], []
        for _ in range(how.windows):
            done, words, count, started = 0, 0, 0, time.monotonic()
            while time.monotonic() - started < how.seconds:
                for batch in islice(batches, 10):
                    train_step(run, batch, kl_weight=0.5, learning_rate=1e-3)
                    done += batch.total
                    words += int(run.plan.lengths[batch.indices].sum())
                    count += 1
                synchronize(run.device)
            seconds = time.monotonic() - started
            speeds.append((done / seconds, words / seconds))
            steps.append(1000 * seconds / count)
        memory = None
        if run.device.type == "cuda":
            memory = torch.cuda.max_memory_allocated(run.device) // 2**20
            torch.cuda.reset_peak_memory_stats(run.device)
    return {
        "shape": name,
        "precision": options["precision"],
        "graphs": options["cuda_graphs"],
        "sentences_per_second": round(statistics.median(s for s, _ in speeds)),
        "tokens_per_second": round(statistics.median(t for _, t in speeds)),
        "step_ms": round(statistics.median(steps), 2),
        "memory_mib": memory,
        "warnings": [str(w.message)[:200] for w in caught],
    }


def device_name() -> str:
    """The GPU, or the kind of device."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


if __name__ == "__main__":
    main(sys.argv[1:])
