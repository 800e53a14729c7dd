"""The Python API leaves the process as it was, and gives the same for the same seed."""

from __future__ import annotations

import locale
import logging
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

# What is imported for the first time may draw random numbers or set filters of its own.
import accelerate  # noqa: F401
import matplotlib.figure  # noqa: F401
import numpy as np
import pytest
import sklearn.cluster  # noqa: F401
import torch

from textvae import plots
from textvae.api import Row, TextVAE, compare, plan
from textvae.api import train as train_into
from textvae.config import Config
from textvae.embedding import SentenceEmbedder
from textvae.training.reporting import LoggingReporter

TEXTS = ["the dog likes rain .", "us !", "", "the cook sees a tall man and the old boat .", "us !"]
LABELLED = [Row(f"{text} {number}", "ab"[number % 2]) for number, text in enumerate(TEXTS * 2)]
MANY = [f"{text} {number}" for number, text in enumerate(TEXTS * 5)]
TINY: dict[str, Any] = {
    "hidden_size": 8, "embedding_size": 8, "latent_size": 2, "tokenizer": "word",
    "max_steps": 3, "device": "cpu", "batch_size": 4, "valid_fraction": 0.4,
    "adversarial_weight": 1.0, "word_dropout": 0.3, "noise_drop": 0.2,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEXTVAE_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def vae(tiny_vae: Path) -> TextVAE:
    return TextVAE.from_pretrained(tiny_vae, device="cpu")


def process_state() -> dict[str, Any]:
    """All that a caller may have set for the whole process."""
    numpy_state = np.random.get_state()
    return {
        "random": random.getstate(),
        "numpy": (*numpy_state[:1], numpy_state[1].tolist(), *numpy_state[2:]),
        "numpy errors": np.geterr(),
        "torch": torch.get_rng_state().tolist(),
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "dtype": torch.get_default_dtype(),
        "device": str(torch.get_default_device()),
        "deterministic": (
            torch.are_deterministic_algorithms_enabled(),
            torch.backends.cudnn.deterministic,
            torch.backends.cudnn.benchmark,
            torch.backends.cudnn.allow_tf32,
            torch.get_float32_matmul_precision(),
        ),
        "gradients": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
        "anomalies": torch.is_anomaly_enabled(),
        "warnings": list(warnings.filters),
        "showwarning": warnings.showwarning,
        "logging": (logging.root.level, list(logging.root.handlers), logging.raiseExceptions),
        "environment": dict(os.environ),
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        "hooks": (sys.excepthook, threading.excepthook, sys.displayhook),
        "running": sorted(thread.name for thread in threading.enumerate()),
        "streams": (sys.stdin, sys.stdout, sys.stderr),
        "folder": os.getcwd(),
        "locale": locale.setlocale(locale.LC_ALL),
        "limits": (sys.getrecursionlimit(), sys.getswitchinterval()),
    }


def half_read(vae: TextVAE) -> None:
    """Some of the samples; the rest is never asked for."""
    samples = vae.iter_generate(5, batch_size=2)
    next(samples)
    assert torch.is_grad_enabled()
    next(samples)


def embedder(vae: TextVAE) -> None:
    fitted = SentenceEmbedder(vae).fit(TEXTS)
    fitted.inverse_transform(fitted.transform(TEXTS))


def trained_embedder(vae: TextVAE) -> None:
    SentenceEmbedder(recipe=None, device="cpu", settings={**TINY, "device": "cpu"} | {
        "threads": 1}).fit(MANY)  # fmt: skip


def compared(vae: TextVAE, folder: Path) -> None:
    vae.save_pretrained(folder / "copy")
    compare([vae, folder / "copy"], TEXTS, samples=2, device="cpu")


def trained(vae: TextVAE, folder: Path) -> None:
    TextVAE.train(MANY, out=folder / "run", **TINY, threads=2)


def failed(vae: TextVAE, folder: Path) -> None:
    class Failing(LoggingReporter):
        def log(self, record: dict[str, Any]) -> None:
            raise MemoryError

    with pytest.raises(MemoryError):
        TextVAE.train(MANY, out=folder / "run", reporter=Failing(), **TINY, threads=2, log_steps=1)


def drawn(vae: TextVAE, folder: Path) -> None:
    picture = plots.path_on_map(vae.path_on_map(TEXTS, *TEXTS[:2], 3))
    for suffix in ("svg", "png", "pdf", "html"):
        picture.save(folder / f"map.{suffix}")


def packed(vae: TextVAE, folder: Path) -> None:
    settings = {**TINY, "adversarial_weight": 0.0, "noise_drop": 0.0}
    lm = TextVAE.train(MANY, out=folder / "lm", model="lm", **settings, threads=1)
    (folder / "text").write_text("\n".join(TEXTS), encoding="utf-8")
    lm.compress(folder / "text", folder / "packed")
    lm.decompress(folder / "packed", folder / "again")


def predicted(vae: TextVAE, folder: Path) -> None:
    settings = {**TINY, "label_weight": 1.0}
    labelled = TextVAE.train(LABELLED * 2, out=folder / "labels", **settings, threads=1)
    labelled.label_probabilities(TEXTS)
    labelled.classify(TEXTS, labelled.label_classifier())


def fitted(vae: TextVAE, folder: Path) -> None:
    vae.save_pretrained(folder / "copy")
    copy = TextVAE.from_pretrained(folder / "copy")
    copy.store_prior(copy.fit_prior("flow", [f"us {n}" for n in range(120)], steps=2))
    copy.generate(2, prior=True)
    copy.stored_prior()
    copy.remove_prior()


def planned(vae: TextVAE, folder: Path) -> None:
    (folder / "train.txt").write_text("\n".join(MANY), encoding="utf-8")
    config = Config.resolve(options={**TINY, "train": [str(folder / "train.txt")], "threads": 2})
    plan(config)
    train_into(config, folder / "planned", reporter=LoggingReporter())


# Of each public name of TextVAE what is done with it; and of others.
METHODS: dict[str, Callable[[TextVAE, Path], Any]] = {
    "train": trained,
    "from_pretrained": lambda vae, folder: TextVAE.from_pretrained(vae.folder or ""),
    "save_pretrained": lambda vae, folder: vae.save_pretrained(folder / "copy"),
    "encode": lambda vae, folder: vae.encode(TEXTS, layer="encoder", normalize=True),
    "embed": lambda vae, folder: vae.embed(TEXTS, sample_seed=3),
    "vector_size": lambda vae, folder: vae.vector_size(),
    "word_average": lambda vae, folder: vae.word_average(TEXTS),
    "posterior": lambda vae, folder: vae.posterior(TEXTS).stddev,
    "token_ids": lambda vae, folder: vae.token_ids(TEXTS),
    "overlong": lambda vae, folder: vae.overlong(TEXTS),
    "decode": lambda vae, folder: vae.decode(np.zeros((2, 4)), temperature=0.5, seed=1),
    "generate": lambda vae, folder: vae.generate(3, near="us !", top_p=0.9),
    "iter_generate": lambda vae, folder: half_read(vae),
    "reconstruct": lambda vae, folder: vae.reconstruct(TEXTS, sample=True, beams=2),
    "interpolate": lambda vae, folder: vae.interpolate("us !", "", 3),
    "log_likelihood": lambda vae, folder: vae.log_likelihood(TEXTS, samples=3),
    "evaluate": lambda vae, folder: vae.evaluate(TEXTS, samples=2, quality=3, refine=1),
    "probe": lambda vae, folder: vae.probe(LABELLED, folds=2),
    "classify": lambda vae, folder: vae.classify(
        TEXTS, vae.probe(LABELLED, folds=2).fit_classifier()
    ),
    "iter_classify": lambda vae, folder: next(
        vae.iter_classify(TEXTS, vae.probe(LABELLED, folds=2).fit_classifier())
    ),
    "traverse": lambda vae, folder: vae.traverse("us !", unit=[1], steps=2, reference=TEXTS),
    "units": lambda vae, folder: vae.units(LABELLED * 5),
    "summarize": lambda vae, folder: vae.summarize(LABELLED),
    "iter_summarize": lambda vae, folder: next(vae.iter_summarize(LABELLED)),
    "cluster": lambda vae, folder: vae.cluster(TEXTS, 2, seed=1),
    "unit_kl": lambda vae, folder: vae.unit_kl(TEXTS),
    "sentence_map": lambda vae, folder: vae.sentence_map(TEXTS, k=2, seed=1),
    "path_on_map": lambda vae, folder: vae.path_on_map(TEXTS, *TEXTS[:2], 3),
    "path": lambda vae, folder: vae.path(*TEXTS[:2], 3),
    "decoding": lambda vae, folder: vae.decoding(),
    "direction": lambda vae, folder: vae.direction(TEXTS[:2], TEXTS[3:], method="linear"),
    "attribute": lambda vae, folder: vae.attribute(TEXTS, vae.direction(TEXTS[:2], TEXTS[3:])),
    "iter_attribute": lambda vae, folder: next(
        vae.iter_attribute(TEXTS, vae.direction(TEXTS[:2], TEXTS[3:]))
    ),
    "analogy": lambda vae, folder: vae.analogy("us !", "", TEXTS[0], n=3),
    "neighbors": lambda vae, folder: vae.neighbors(TEXTS, TEXTS[:1], 2),
    "score": lambda vae, folder: vae.score(TEXTS, threshold=TEXTS, samples=2),
    "iter_score": lambda vae, folder: next(iter(vae.iter_score(TEXTS, samples=2))),
    "paraphrase": lambda vae, folder: vae.paraphrase(TEXTS[:1], 2, draws=3),
    "iter_paraphrase": lambda vae, folder: next(vae.iter_paraphrase(TEXTS[:1], 2, draws=3), None),
    "augment": lambda vae, folder: vae.augment(LABELLED, 1),
    "iter_augment": lambda vae, folder: next(iter(vae.iter_augment(LABELLED, 1))),
    "rate_distortion": lambda vae, folder: vae.rate_distortion(TEXTS, fit=TEXTS),
    "compress": packed,
    "decompress": packed,
    "labels": lambda vae, folder: vae.labels,
    "label_probabilities": predicted,
    "label_classifier": predicted,
    "fit_prior": fitted,
    "store_prior": fitted,
    "stored_prior": fitted,
    "remove_prior": fitted,
    "kind": lambda vae, folder: vae.kind,
    "latent_size": lambda vae, folder: vae.latent_size,
    "device": lambda vae, folder: vae.device,
    "max_tokens_read": lambda vae, folder: vae.max_tokens_read,
    "prior_is_fitted": lambda vae, folder: vae.prior_is_fitted,
    "max_tokens": lambda vae, folder: vae.max_tokens,
    "metrics": lambda vae, folder: vae.metrics,
}
OTHERS: dict[str, Callable[[TextVAE, Path], Any]] = {
    "SentenceEmbedder": lambda vae, folder: embedder(vae),
    "SentenceEmbedder that trains": lambda vae, folder: trained_embedder(vae),
    "compare": compared,
    "plan and train": planned,
    "a picture": drawn,
    "a training that fails": failed,
}
ELSEWHERE = {"push_to_hub"}  # which needs the network, and saves as save_pretrained does


def test_every_public_name_is_looked_at() -> None:
    public = {name for name in vars(TextVAE) if not name.startswith("_")}
    assert public == METHODS.keys() | ELSEWHERE


@pytest.mark.parametrize("name", [*METHODS, *OTHERS])
def test_the_process_is_left_as_it_was(
    name: str, vae: TextVAE, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("textvae.training.dry_run.MEASURED_SECONDS", 0.01)
    before = process_state()
    {**METHODS, **OTHERS}[name](vae, tmp_path)
    after = process_state()
    assert [key for key in before if before[key] != after[key]] == []


@pytest.mark.parametrize("name", ["generate", "embed", "train", "log_likelihood", "decode"])
def test_what_the_caller_has_seeded_changes_nothing(
    name: str, vae: TextVAE, tmp_path: Path
) -> None:
    found = []
    for seed in (1, 2):
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        folder = tmp_path / str(seed)
        folder.mkdir()
        result = METHODS[name](vae, folder)
        if name == "train":
            result = (folder / "run" / "model.safetensors").read_bytes()
        elif name == "embed":
            result = result.vectors.tobytes()
        found.append(result.tolist() if isinstance(result, np.ndarray) else result)
    assert found[0] == found[1]


def test_the_size_of_a_batch_changes_neither_samples_nor_vectors(vae: TextVAE) -> None:
    together = list(vae.iter_generate(7, seed=2, temperature=0.9))
    assert list(vae.iter_generate(7, seed=2, temperature=0.9, batch_size=2)) == together
    np.testing.assert_allclose(vae.encode(TEXTS), vae.encode(TEXTS, batch_size=1), atol=1e-5)
    np.testing.assert_allclose(
        vae.embed(TEXTS, sample_seed=4).vectors,
        [vae.embed([t], sample_seed=4, first=i).vectors[0] for i, t in enumerate(TEXTS)],
        atol=1e-5,
    )
