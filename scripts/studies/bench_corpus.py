"""Time and memory of preparing a large corpus twice and going through it once, as JSON.

    python scripts/studies/bench_corpus.py --sentences 5000000

The memory is the peak resident set above what an import of torch takes, mapped files included.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WORDS = 20_000


def main() -> None:
    """Writes a corpus, prepares it in two fresh processes, prints what they report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sentences", type=int, default=5_000_000)
    parser.add_argument("--folder", type=Path, help="where the corpus is written; default: temp")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure is not None:
        print(json.dumps(measure(arguments.measure)))
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="textvae-bench-") as name:
        corpus = Path(name) / "corpus.txt"
        write_sentences(corpus, arguments.sentences)
        command = [sys.executable, __file__, "--measure", str(corpus)]
        runs = [
            json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            for _ in range(2)
        ]
        report = {"corpus_mib": corpus.stat().st_size >> 20, "first": runs[0], "second": runs[1]}
    print(json.dumps(report, indent=2))


def write_sentences(path: Path, count: int) -> None:
    """Sentences of 3 to 15 words, whose frequencies fall as in a language (Zipf)."""
    generator = random.Random(0)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(generator.choices(letters, k=generator.randint(2, 9))) for _ in range(WORDS)]
    weights = [1 / rank for rank in range(1, WORDS + 1)]
    with open(path, "w", encoding="utf-8") as file:
        for start in range(0, count, 10_000):
            sizes = [generator.randint(3, 15) for _ in range(min(10_000, count - start))]
            drawn = iter(generator.choices(words, weights, k=sum(sizes)))
            file.writelines(" ".join(next(drawn) for _ in range(n)) + "\n" for n in sizes)


def measure(corpus: Path) -> dict[str, float]:
    """Seconds and peak memory of one preparation and one epoch, in this process."""
    import torch  # noqa: F401  # what it takes is the baseline

    baseline = peak_mib()
    from textvae.config import DataConfig, TokenizerConfig
    from textvae.data.batches import BatchPlan
    from textvae.data.prepare import load_corpora

    start = time.perf_counter()
    data = DataConfig(train=(str(corpus),), cache_dir=str(corpus.parent / "cache"))
    _, train, valid = load_corpora(data, TokenizerConfig(vocab_size=10_000))
    prepared, prepared_mib = time.perf_counter(), peak_mib()
    plan = BatchPlan(train.lengths, batch_size=64, seed=0)
    tokens = sum(int(batch.target.lengths.sum()) for batch in plan.batches(train, epoch=0))
    assert tokens == train.n_tokens
    return {
        "sentences": len(train) + len(valid),
        "tokens": train.n_tokens + valid.n_tokens,
        "prepare_seconds": round(prepared - start, 2),
        "epoch_seconds": round(time.perf_counter() - prepared, 2),
        "prepare_peak_mib_above_torch": round(prepared_mib - baseline),
        "peak_mib_above_torch": round(peak_mib() - baseline),
    }


def peak_mib() -> float:
    """Peak resident memory of this process."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


if __name__ == "__main__":
    main()
