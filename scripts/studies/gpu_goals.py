"""What a GPU brings on the Penn treebank: training, evaluation and generation, in seconds.

    python scripts/studies/gpu_goals.py --corpus DIR --out runs/gpu \\
        --json scripts/results/gpu-goals.json

DIR holds train.txt, valid.txt and test.txt of the Penn treebank by words. First one training per
learning rate, all at once, for the validation figures. Then the best one again, alone and timed;
`evaluate --samples 500` on the test file; 100,000 sentences; and `nll_iw` of the test file with
TF32 and float32 products. Seconds include the start of each command.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from commands import provenance

from textvae import TextVAE
from textvae.evaluation import likelihood

NETWORK = (
    "--recipe", "gpu", "--encoder", "lstm", "--decoder", "lstm", "--tokenizer", "word",
    "--latent-size", "32", "--seed", "0",
)  # fmt: skip


def main(arguments: list[str]) -> None:
    """Measure, print and write the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--corpus", type=Path, required=True, metavar="DIR")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--rates", type=float, nargs="+", default=[0.001, 0.003, 0.01])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--samples", type=int, default=500)
    parser.add_argument("--sentences", type=int, default=100_000)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--json", type=Path, metavar="FILE")
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    report: dict[str, Any] = {**provenance("the Penn treebank on a GPU"), "device": device_name()}
    running = [(rate, started(given, rate, f"rate-{rate}")) for rate in given.rates]
    for _, process in running:
        process.wait()
    report["rates"] = [
        {"learning_rate": rate, **best(given.out / f"rate-{rate}")} for rate in given.rates
    ]
    save(report, given.json)
    rate = min(report["rates"], key=lambda row: row["nll_elbo"])["learning_rate"]
    model, test = given.out / "best", str(given.corpus / "test.txt")
    seconds = timed(lambda: started(given, rate, "best").wait())
    report["training"] = {"learning_rate": rate, "seconds": seconds, **best(model)}
    save(report, given.json)
    report["evaluate"] = evaluated(given, model, test)
    save(report, given.json)
    arguments = ["-n", str(given.sentences)]
    report["generate"] = {
        "sentences": given.sentences,
        "seconds": timed(lambda: run("generate", str(model), *arguments, device=given.device)),
    }
    report["tf32"] = differences(model, test, given)
    save(report, given.json)


def save(report: dict[str, Any], file: Path | None) -> None:
    """Print and write what is known so far."""
    print(json.dumps(report, indent=1), flush=True)
    if file is not None:
        file.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def started(given: argparse.Namespace, rate: float, name: str) -> subprocess.Popen[bytes]:
    """A training with a peak learning rate, begun."""
    train, valid = given.corpus / "train.txt", given.corpus / "valid.txt"
    command = [
        sys.executable, "-m", "textvae", "--quiet", "train", train, "--valid", valid,
        "--out", given.out / name, "--overwrite", *NETWORK, "--batch-size", given.batch_size,
        "--learning-rate", rate, "--epochs", given.epochs, "--device", given.device,
    ]  # fmt: skip
    return subprocess.Popen([str(word) for word in command])


def run(*arguments: str, device: str) -> str:
    """The output of a command."""
    command = [sys.executable, "-m", "textvae", "--quiet", *arguments, "--device", device]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def timed(work: Any) -> float:
    """The seconds that a call takes."""
    before = time.monotonic()
    work()
    return round(time.monotonic() - before, 2)


def best(folder: Path) -> dict[str, Any]:
    """The best validation of a training, and the seconds of training until then."""
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    events = [json.loads(line) for line in lines]
    found = min(
        (event for event in events if event["event"] == "valid"), key=lambda row: row["nll_elbo"]
    )
    kept = ("step", "epoch", "rec", "kl", "nll_elbo", "z_gain", "active_units")
    until = [
        event["timing"]["seconds"]
        for event in events
        if event["event"] == "train" and event["step"] <= found["step"]
    ]
    return {
        **{key: found[key] for key in kept},
        "seconds_to_best": until[-1] if until else None,
        "steps": max(event["step"] for event in events if "step" in event),
    }


def evaluated(given: argparse.Namespace, model: Path, test: str) -> dict[str, Any]:
    """The figures of `evaluate` on the test file, and its seconds."""
    out: list[str] = []
    samples = ["--samples", str(given.samples)]
    seconds = timed(
        lambda: out.append(
            run("evaluate", str(model), test, *samples, "--json", device=given.device)
        )
    )
    return {"seconds": seconds, **json.loads(out[0]), "model": "best"}


def differences(model: Path, test: str, given: argparse.Namespace) -> dict[str, float]:
    """How far `nll_iw` of sentences with TF32 products is from that with float32 products."""
    vae = TextVAE.from_pretrained(model, device=given.device)
    texts = Path(test).read_text(encoding="utf-8").splitlines()[:500]
    texts = [text for text in texts if text.strip()]
    found = {}
    for tf32 in (True, False):
        likelihood.TF32 = tf32
        seconds = timed(lambda tf32=tf32: found.setdefault(tf32, vae.log_likelihood(texts)))
        found[f"{tf32} seconds"] = seconds
    apart = found[True] - found[False]
    return {
        "sentences": len(texts),
        "largest": float(abs(apart).max()),
        "mean": float(apart.mean()),
        "seconds_tf32": found["True seconds"],
        "seconds_float32": found["False seconds"],
    }


def device_name() -> str:
    """The GPU, or the kind of device."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


if __name__ == "__main__":
    main(sys.argv[1:])
