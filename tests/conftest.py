"""Tiny real models that the tests share: trained once a session, on a grammar of a few words."""

from __future__ import annotations

import io
import itertools
import os
from pathlib import Path
from typing import Any

import pytest
from running import Ran

# Before torch is imported: threads cost tiny models more than they bring, many times more where
# other processes want the cores. Inherited by the processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

SUBJECTS = ("the cook", "my sister", "a tall man", "the dog", "our neighbor")
VERBS = ("likes", "sees", "follows", "paints", "finds")
OBJECTS = ("the soup .", "an old boat .", "the red door .", "her brother .", "rain .", "us !")


@pytest.fixture(scope="session")
def sentences() -> list[str]:
    """150 different sentences."""
    return [" ".join(parts) for parts in itertools.product(SUBJECTS, VERBS, OBJECTS)]


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory, sentences: list[str]) -> Path:
    """A file of the sentences, one a line."""
    path = tmp_path_factory.mktemp("corpus") / "train.txt"
    path.write_text("\n".join(sentences) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def tiny_vae(tmp_path_factory: pytest.TempPathFactory, corpus: Path) -> Path:
    """The folder of a trained VAE."""
    return train_tiny("vae", corpus, tmp_path_factory.mktemp("models") / "vae")


@pytest.fixture(scope="session")
def fluent_vae(tmp_path_factory: pytest.TempPathFactory, corpus: Path) -> Path:
    """The folder of a VAE whose sentences change with the latent, unlike those of `tiny_vae`."""
    out = tmp_path_factory.mktemp("models") / "fluent"
    sizes = {"hidden_size": 32, "learning_rate": 0.01, "beta": 0.05, "max_steps": 200}
    return train_tiny("vae", corpus, out, valid=corpus, **sizes)


@pytest.fixture(scope="session")
def tiny_ae(tmp_path_factory: pytest.TempPathFactory, corpus: Path) -> Path:
    """The folder of a trained autoencoder."""
    return train_tiny("ae", corpus, tmp_path_factory.mktemp("models") / "ae")


@pytest.fixture(scope="session")
def tiny_lm(tmp_path_factory: pytest.TempPathFactory, corpus: Path) -> Path:
    """The folder of a trained language model."""
    return train_tiny("lm", corpus, tmp_path_factory.mktemp("models") / "lm")


@pytest.fixture
def textvae(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Run `textvae ARGUMENTS` in this process."""
    from textvae.cli.main import run

    def invoke(*arguments: object, stdin: str | None = None) -> Ran:
        if stdin is not None:
            monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return invoke


def train_tiny(
    kind: str, corpus: Path, out: Path, *, valid: Path | None = None, **options: Any
) -> Path:
    """Train a model of `kind` for a few steps; the folder it is in."""
    from textvae import TextVAE
    from textvae.config import Config

    sizes = {"hidden_size": 16, "embedding_size": 16, "latent_size": 4, "batch_size": 16}
    rest = {"tokenizer": "word", "max_tokens": 16, "max_steps": 20, "device": "cpu"}
    cache = {"cache_dir": str(corpus.parent / "cache")}
    config = Config.resolve(options={"model": kind, **sizes, **rest, **cache} | options)
    TextVAE.train(str(corpus), valid=valid, out=out, config=config)
    return out
