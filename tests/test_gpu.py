"""Everything once on a GPU: what it gives there agrees with the CPU within the tolerances here.

Skipped without a GPU, which no fake stands in for.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from running import Ran

from textvae import TextVAE
from textvae.decoding import beam, generation
from textvae.evaluation import likelihood

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

# Of one model on CPU and GPU: vectors, and nats a sentence with float32 and with TF32 products.
VECTORS, NATS, NATS_TF32 = 1e-5, 1e-3, 1e-2
SIZES = ("--hidden-size", "32", "--embedding-size", "16", "--latent-size", "8")
NETWORKS = ("gru", "lstm", "transformer")


def train(
    textvae: Any, corpus: Path, out: Path, *arguments: object, device: str = "cuda", steps: int = 60
) -> Path:
    """Train on a device; the folder."""
    ran = textvae(
        "train", corpus, "--out", out, *SIZES, "--tokenizer", "word", "--max-tokens", 16,
        "--batch-size", 16, "--max-steps", steps, "--device", device, *arguments,
    )  # fmt: skip
    assert ran.code == 0, ran.err
    return out


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, corpus: Path) -> dict[str, Path]:
    """A vae of each network, trained on the GPU."""
    base = tmp_path_factory.mktemp("gpu")
    found = {}
    for network in NETWORKS:
        found[network] = base / network
        TextVAE.train(
            str(corpus), out=base / network, encoder=network, decoder=network, hidden_size=32,
            embedding_size=16, latent_size=8, tokenizer="word", max_tokens=16, max_steps=60,
            batch_size=16, device="cuda", cache_dir=str(base / "cache"),
        )  # fmt: skip
    return found


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(("tf32", "nats_apart"), [(True, NATS_TF32), (False, NATS)])
def test_vectors_and_likelihoods_agree_with_the_cpu(
    folders: dict[str, Path],
    network: str,
    tf32: bool,
    nats_apart: float,
    sentences: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert likelihood.TF32  # the default
    monkeypatch.setattr(likelihood, "TF32", tf32)
    gpu = TextVAE.from_pretrained(folders[network], device="cuda")
    cpu = TextVAE.from_pretrained(folders[network], device="cpu")
    assert gpu.device.type == "cuda"
    for layer in ("latent", "encoder"):
        found, expected = (vae.encode(sentences, layer=layer) for vae in (gpu, cpu))
        np.testing.assert_allclose(found, expected, rtol=0, atol=VECTORS)
    nats = [vae.log_likelihood(sentences[:20], samples=20) for vae in (gpu, cpu)]
    np.testing.assert_allclose(*nats, rtol=0, atol=nats_apart)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_vector_does_not_depend_on_its_batch(
    folders: dict[str, Path], network: str, sentences: list[str]
) -> None:
    gpu = TextVAE.from_pretrained(folders[network], device="cuda")
    together = gpu.encode(sentences)
    alone = np.concatenate([gpu.encode([text]) for text in sentences[:20]])
    np.testing.assert_allclose(together[:20], alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("options", [{"greedy": True}, {"beams": 3}, {}, {"top_p": 0.8}], ids=str)
def test_it_writes_what_the_cpu_writes(
    folders: dict[str, Path], network: str, options: dict[str, Any]
) -> None:
    """A choice between words that are nearly equally likely may fall otherwise."""
    gpu = TextVAE.from_pretrained(folders[network], device="cuda").generate(40, seed=1, **options)
    cpu = TextVAE.from_pretrained(folders[network], device="cpu").generate(40, seed=1, **options)
    assert sum(a == b for a, b in zip(gpu, cpu, strict=True)) >= 38


@pytest.mark.parametrize("options", [{}, {"temperature": 1.0}], ids=str)
def test_sentences_do_not_depend_on_how_many_are_written_at_once(
    folders: dict[str, Path], options: dict[str, Any]
) -> None:
    vae = TextVAE.from_pretrained(folders["gru"], device="cuda")
    assert generation.rows_at_once(vae.model.decoder, vae.decoding(**options)) == 4096
    together = list(vae.iter_generate(600, seed=1, **options))
    apart = list(vae.iter_generate(600, seed=1, batch_size=100, **options))
    assert sum(a == b for a, b in zip(together, apart, strict=True)) >= 594


@pytest.mark.parametrize("options", [{"beams": 3}, {}, {"top_k": 5}], ids=str)
def test_choices_on_the_cpu_beside_a_model_elsewhere_are_the_same(
    folders: dict[str, Path], options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As beside a device that has no float64."""
    vae = TextVAE.from_pretrained(folders["gru"], device="cuda")
    expected = vae.generate(40, seed=1, **options)
    for module in (beam, generation):
        monkeypatch.setattr(module, "double_device", lambda device: torch.device("cpu"))
    found = vae.generate(40, seed=1, **options)
    assert sum(a == b for a, b in zip(found, expected, strict=True)) >= 39


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("kind", ["vae", "ae", "lm"])
def test_each_kind_learns(
    textvae: Any, corpus: Path, tmp_path: Path, kind: str, precision: str
) -> None:
    out = train(textvae, corpus, tmp_path / "run", "--model", kind, "--precision", precision)
    metrics = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    losses = [record["loss"] for record in metrics if record["event"] == "train"]
    bounds = [r.get("nll_elbo", r.get("nll_iw", r["rec"])) if "rec" in r else r["nll_iw"]
              for r in metrics if r["event"] == "valid"]  # fmt: skip
    assert all(np.isfinite(losses))
    assert bounds[-1] < 0.98 * bounds[0]


def test_a_resumed_run_goes_on(textvae: Any, corpus: Path, tmp_path: Path) -> None:
    out = train(textvae, corpus, tmp_path / "run", steps=30)
    ran = textvae("train", "--out", out, "--resume", "--max-steps", 60)
    assert ran.code == 0, ran.err
    steps = [json.loads(line)["step"] for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert max(steps) == 60


def commands(folder: Path, other: Path, file: Path, table: Path, out: Path) -> list[list[object]]:
    """Each command that runs a model, once."""
    a, b = "the cook likes rain .", "my sister paints us !"
    return [
        ["generate", folder, "-n", 3],
        ["generate", folder, "-n", 3, "--near", a],
        ["interpolate", folder, a, b],
        ["reconstruct", folder, file],
        ["embed", folder, file, "--out", out / "vectors.npy"],
        ["embed", folder, file, "--sample", "--out", out / "sampled.parquet"],
        ["evaluate", folder, file, "--samples", 5, "--refine", 2, "--interpolations", 3],
        ["compare", folder, other, "--on", file, "--samples", 5],
        ["probe", folder, table, "--folds", 2, "--save", out / "classifier.safetensors"],
        ["classify", folder, out / "classifier.safetensors", file],
        ["cluster", folder, file, "-k", 3],
        ["traverse", folder, a, "--reference", file],
        ["summarize", folder, table],
        ["info", folder],
    ]


def test_each_command_runs(
    textvae: Any, folders: dict[str, Path], tmp_path: Path, sentences: list[str]
) -> None:
    file, table = tmp_path / "few.txt", tmp_path / "table.tsv"
    file.write_text("\n".join(sentences[:30]) + "\n")
    rows = [f"{text}\t{'cook' if 'cook' in text else 'other'}" for text in sentences[::3]]
    table.write_text("text\tlabel\n" + "\n".join(rows) + "\n")
    for command in commands(folders["gru"], folders["lstm"], file, table, tmp_path):
        device = [] if command[0] == "info" else ["--device", "cuda"]
        ran: Ran = textvae(*command, *device)
        assert ran.code == 0, (command, ran.err)
    cpu = tmp_path / "cpu.npy"
    textvae("embed", folders["gru"], file, "--out", cpu, "--device", "cpu")
    np.testing.assert_allclose(
        np.load(tmp_path / "vectors.npy"), np.load(cpu), rtol=0, atol=VECTORS
    )


def launched(processes: int, *arguments: object) -> subprocess.CompletedProcess[str]:
    """`torchrun --nproc-per-node=PROCESSES -m textvae ARGUMENTS`."""
    return subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone",
         f"--nproc-per-node={processes}", "-m", "textvae", *map(str, arguments)],
        capture_output=True, text=True, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=300,
    )  # fmt: skip


def test_more_processes_than_gpus_are_refused_and_the_cpu_is_a_way_on(
    corpus: Path, tmp_path: Path
) -> None:
    many = torch.cuda.device_count() + 1
    arguments = ["train", corpus, *SIZES, "--tokenizer", "word", "--max-steps", 5]
    refused = launched(many, *arguments, "--out", tmp_path / "gpu")
    assert refused.returncode != 0
    assert f"{many} processes on this machine" in refused.stderr
    assert "pass --device cpu" in refused.stderr
    ran = launched(2, *arguments, "--out", tmp_path / "cpu", "--device", "cpu")
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "cpu" / "model.safetensors").is_file()
