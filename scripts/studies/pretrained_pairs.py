"""VAEs between a pretrained encoder and pretrained language models, beside the bare models.

    python scripts/studies/pretrained_pairs.py --corpus DIR --encoder weights/minilm \\
        --decoders weights/stories15m weights/smollm2 --minutes 4 --device cuda \\
        --out runs/pairs --json scripts/results/pretrained-pairs.json

DIR holds train.txt, valid.txt and test.txt. For each decoder: the bare language model and a VAE,
both with LoRA adapters of the same rank. For the first decoder also a VAE whose encoder and decoder
are trained in full, and our own networks at the same KL. All trainings run at once, then all
evaluations, each VAE with the language model of its decoder as the scorer. The report holds
samples, reconstructions and paths to read.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from commands import provenance

LORA = ("--decoder-training", "lora", "--lora-rank", "16", "--recipe", "pretrained-decoder")
RATES = ("--learning-rate", "2e-3", "--set", "training.pretrained_learning_rate=1e-3")
FULL_RATES = ("--learning-rate", "2e-3", "--set", "training.pretrained_learning_rate=3e-4")
SIZES = ("--latent-size", "64", "--set", "model.memory_tokens=8")
PATHS = 5  # interpolations to read
TO_READ = "to-read.txt"
FIGURES = (
    "n_sentences", "rec", "kl", "nll_elbo", "nll_iw", "nll_iw_half", "converged", "ppl_word",
    "bits_per_byte", "mi", "active_units", "z_gain", "bleu", "exact_match", "ppl_forward",
    "ppl_forward_real", "self_bleu", "self_bleu_real", "copied",
)  # fmt: skip


def main(arguments: list[str]) -> None:
    """Train, evaluate, and write figures and sentences."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--corpus", type=Path, required=True, metavar="DIR")
    parser.add_argument("--encoder", required=True, metavar="REF")
    parser.add_argument("--decoders", nargs="+", required=True, metavar="REF")
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--max-steps", type=int)
    parser.add_argument("--target-kl", type=float, default=38.0)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--limit", type=int, default=1000, help="test sentences")
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--only", nargs="+", help="names of the models to train")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--json", type=Path, metavar="FILE")
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    chosen = {
        name: options
        for name, options in trainings(given).items()
        if given.only is None or name in given.only
    }
    together([train_command(given, name, options) for name, options in chosen.items()], given.out)
    trained = [name for name in chosen if (given.out / name / "model.safetensors").is_file()]
    together([evaluate_command(given, name, trained) for name in trained], given.out)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    (given.out / TO_READ).write_text("\n".join(to_read(given)) + "\n", encoding="utf-8")
    with ThreadPoolExecutor(len(trained) or 1) as pool:
        rows = list(pool.map(lambda name: row(given, name, chosen[name]), trained))
    report = {**provenance("pretrained pairs"), "device": device, "rows": rows}
    text = json.dumps(report, indent=1, ensure_ascii=False)
    if given.json is not None:
        given.json.write_text(text + "\n", encoding="utf-8")
    print(text)


def trainings(given: argparse.Namespace) -> dict[str, list[str]]:
    """The options of each training, by name."""
    latent = [*SIZES, "--target-kl", str(given.target_kl)]
    found: dict[str, list[str]] = {}
    for decoder in given.decoders:
        name, pair = Path(decoder).name, ["--decoder", decoder, *LORA, *RATES]
        found[f"lm-{name}"] = ["--model", "lm", *pair]
        found[f"vae-{name}"] = ["--encoder", given.encoder, *pair, *latent]
    first = given.decoders[0]
    found[f"full-{Path(first).name}"] = [
        "--encoder", given.encoder, "--encoder-training", "full", "--decoder", first,
        "--decoder-training", "full", "--recipe", "pretrained-decoder", *FULL_RATES, *latent,
    ]  # fmt: skip
    found["own"] = ["--recipe", "gpu", "--learning-rate", "2e-3", *latent[:2], *latent[4:]]
    return found


def train_command(given: argparse.Namespace, name: str, options: list[str]) -> list[str]:
    """The command of one training."""
    corpus = given.corpus
    length = ["--max-minutes", str(given.minutes)]
    if given.max_steps is not None:
        length = ["--max-steps", str(given.max_steps)]
    return command(
        "train", corpus / "train.txt", "--valid", corpus / "valid.txt", "--out", given.out / name,
        "--overwrite", *options, "--batch-size", given.batch_size, *length, "--seed", 0,
        "--device", given.device,
    )  # fmt: skip


def evaluate_command(given: argparse.Namespace, name: str, trained: list[str]) -> list[str]:
    """The command of one evaluation."""
    judged: list[object] = []
    scorer = scorer_of(name, trained)
    if scorer is not None:
        judged = ["--quality", 500, "--scorer", given.out / scorer]
    return command(
        "evaluate", given.out / name, given.corpus / "test.txt", "--limit", given.limit,
        "--samples", given.samples, *judged, "--out", given.out / f"{name}.json",
        "--device", given.device, "--truncate",
    )  # fmt: skip


def scorer_of(name: str, trained: list[str]) -> str | None:
    """The language model that judges the samples of a VAE, where it was trained."""
    if name.startswith("lm-"):
        return None
    same = f"lm-{name.split('-', 1)[-1]}"
    models = [model for model in trained if model.startswith("lm-")]
    return same if same in models else next(iter(models), None)


def command(*words: object) -> list[str]:
    """A command of textvae."""
    return [sys.executable, "-m", "textvae", *map(str, words)]


def together(commands: list[list[str]], out: Path) -> None:
    """Run all commands at once, each with a log."""
    running = []
    for words in commands:
        log = open(out / f"{words[3]}-{len(running)}.log", "wb")
        running.append((words, log, subprocess.Popen(words, stdout=log, stderr=log)))
    for words, log, process in running:
        if process.wait():
            print(f"exit code {process.returncode}: {' '.join(words)}; see {log.name}", flush=True)
            print(Path(log.name).read_text(encoding="utf-8")[-1500:], flush=True)
        log.close()


def row(given: argparse.Namespace, name: str, options: list[str]) -> dict[str, Any]:
    """The figures of a model, and sentences to read."""
    folder = given.out / name
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    events = [json.loads(line) for line in lines]
    last = [event for event in events if event["event"] == "train"][-1:]
    found: dict[str, Any] = {"name": name, "options": " ".join(options)}
    found["steps"] = max(event["step"] for event in events if "step" in event)
    for event in last:
        found["epochs"] = round(event["epoch"], 2)
        found["sentences_per_second"] = round(event["timing"]["sentences_per_second"])
    report = given.out / f"{name}.json"
    if report.is_file():
        measured = json.loads(report.read_text(encoding="utf-8"))
        found |= {key: rounded(measured[key]) for key in FIGURES if key in measured}
    found["samples"] = written(given, "generate", folder, "-n", 20)
    if not name.startswith("lm-"):
        texts = to_read(given)
        back = written(given, "reconstruct", folder, given.out / TO_READ)
        found["reconstructions"] = list(zip(texts, back, strict=False))
        found["paths"] = [
            written(given, "interpolate", folder, texts[2 * i], texts[2 * i + 1], "--steps", 7)
            for i in range(PATHS)
        ]
    return found


def to_read(given: argparse.Namespace) -> list[str]:
    """The first sentences of the test file."""
    with open(given.corpus / "test.txt", encoding="utf-8") as stream:
        return [line.strip() for line in stream if line.strip()][: 2 * PATHS]


def rounded(value: Any) -> Any:
    """A figure with four digits behind the point."""
    return round(value, 4) if isinstance(value, float) else value


def written(given: argparse.Namespace, *words: object) -> list[str]:
    """The lines that a command prints."""
    done = subprocess.run(
        command("--quiet", *words, "--device", given.device), capture_output=True, text=True
    )
    return done.stdout.splitlines() if done.returncode == 0 else [done.stderr.strip()[-300:]]


if __name__ == "__main__":
    main(sys.argv[1:])
