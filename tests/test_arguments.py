"""Sizes, counts and seeds: what makes no sense is refused by its name and value."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from textvae import TextVAE
from textvae.api import Row, compare
from textvae.embedding import SentenceEmbedder
from textvae.errors import TextVAEError, UsageError
from textvae.export import stream_vectors, write_vectors

TEXTS = ["the dog likes rain .", "us !"]
Call = Callable[..., Any]


@pytest.fixture(scope="module")
def vae(tiny_vae: Path) -> TextVAE:
    return TextVAE.from_pretrained(tiny_vae)


BATCHED: dict[str, Call] = {
    "encode": lambda v, **size: v.encode(TEXTS, **size),
    "embed": lambda v, **size: v.embed(TEXTS, **size),
    "posterior": lambda v, **size: v.posterior(TEXTS, **size),
    "word_average": lambda v, **size: v.word_average(TEXTS, **size),
    "iter_generate": lambda v, **size: v.iter_generate(2, **size),
    "generate": lambda v, **size: v.iter_generate(2, near="us !", **size),
    "embedder": lambda v, **size: SentenceEmbedder(v, **size).transform(TEXTS),
    "fit": lambda v, **size: SentenceEmbedder(v, **size).fit(TEXTS),
    "train": lambda v, **size: TextVAE.train(TEXTS, **size),
}
SEEDED: dict[str, Call] = {
    "generate": lambda v, seed: v.generate(2, seed=seed),
    "decode": lambda v, seed: v.decode(np.zeros((1, v.latent_size)), temperature=1.0, seed=seed),
    "reconstruct": lambda v, seed: v.reconstruct(TEXTS, sample=True, seed=seed),
    "interpolate": lambda v, seed: v.interpolate("us !", "us .", 2, temperature=1.0, seed=seed),
    "log_likelihood": lambda v, seed: v.log_likelihood(TEXTS, samples=2, seed=seed),
    "evaluate": lambda v, seed: v.evaluate(TEXTS, samples=2, seed=seed),
    "cluster": lambda v, seed: v.cluster(TEXTS, 2, seed=seed),
    "traverse": lambda v, seed: v.traverse(units=1, steps=2, reference=TEXTS, seed=seed),
    "units": lambda v, seed: v.units(TEXTS * 25, seed=seed),
    "compare": lambda v, seed: compare([v], TEXTS, samples=2, seed=seed),
}
OTHERS: dict[str, Call] = {
    "n": lambda v, n: v.generate(n),
    "scale": lambda v, n: v.generate(1, near="us !", scale=n),
    "first": lambda v, n: v.embed(TEXTS, first=n),
    "sample_seed": lambda v, n: v.embed(TEXTS, sample_seed=n),
    "steps": lambda v, n: v.interpolate("us !", "us .", n),
    "samples": lambda v, n: v.log_likelihood(TEXTS, samples=n),
    "k": lambda v, n: v.cluster(TEXTS, n),
    "nearest": lambda v, n: v.cluster(TEXTS, 1, nearest=n),
    "units": lambda v, n: v.traverse(units=n),
    "words": lambda v, n: v.units(TEXTS * 25, words=n),
    "pool": lambda v, n: v.summarize([Row("us !", "a")], pool=n),
    "limit": lambda v, n: v.evaluate(TEXTS, limit=n),
    "quality": lambda v, n: v.evaluate(TEXTS, quality=n),
    "interpolations": lambda v, n: v.evaluate(TEXTS, interpolations=n),
    "refine": lambda v, n: v.evaluate(TEXTS, refine=n),
    "folds": lambda v, n: v.probe(TEXTS, folds=n),
    "seeds": lambda v, n: v.probe(TEXTS, TEXTS, seeds=n),
    "top_k": lambda v, n: v.generate(1, top_k=n),
    "beams": lambda v, n: v.generate(1, beams=n),
    "max_tokens": lambda v, n: v.generate(1, max_tokens=n),
    "min_tokens": lambda v, n: v.generate(1, min_tokens=n),
    "temperature": lambda v, n: v.generate(1, temperature=n),
    "top_p": lambda v, n: v.generate(1, top_p=n),
}


@pytest.mark.parametrize("call", BATCHED.values(), ids=BATCHED)
@pytest.mark.parametrize("size", [0, -1, 2.5, True, "8", float("nan")])
def test_a_batch_size_that_makes_no_sense_is_refused(call: Call, size: Any, vae: TextVAE) -> None:
    with pytest.raises(TextVAEError, match="batch_size") as caught:
        call(vae, batch_size=size)
    assert str(size) in str(caught.value)


@pytest.mark.parametrize("call", SEEDED.values(), ids=SEEDED)
@pytest.mark.parametrize("seed", [-1, 0.5, True, "0", 2**64])
def test_a_seed_that_is_none_is_refused(call: Call, seed: Any, vae: TextVAE) -> None:
    with pytest.raises(UsageError, match=f"seed {re.escape(repr(seed))}"):
        call(vae, seed)


@pytest.mark.parametrize("call", SEEDED.values(), ids=SEEDED)
def test_without_a_seed_there_is_a_fresh_one(call: Call, vae: TextVAE) -> None:
    call(vae, None)
    call(vae, np.int64(7))


def test_fresh_seeds_differ_and_are_named(vae: TextVAE) -> None:
    assert vae.generate(20, seed=None) != vae.generate(20, seed=None)
    found = vae.cluster(TEXTS, 2, seed=None)
    assert found.seed != vae.cluster(TEXTS, 2, seed=None).seed
    assert vae.generate(3, seed=np.int64(7)) == vae.generate(3, seed=7)


def test_a_training_without_a_seed_names_the_fresh_one(tmp_path: Path, corpus: Path) -> None:
    tiny = {"hidden_size": 8, "embedding_size": 8, "latent_size": 2, "max_steps": 2}
    first, second = (
        TextVAE.train(corpus, out=tmp_path / name, device="cpu", seed=None, **tiny)
        for name in ("a", "b")
    )
    assert first.config.training.seed != second.config.training.seed
    resumed = TextVAE.train(out=tmp_path / "a", resume=True, seed=None, max_steps=4)
    assert resumed.config.training.seed == first.config.training.seed


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("value", [-1, 2.5, True, "8", float("nan"), float("inf")])
def test_other_numbers_that_make_no_sense_are_refused(name: str, value: Any, vae: TextVAE) -> None:
    if (name, value) in (("scale", 2.5), ("temperature", 2.5)):
        return
    with pytest.raises(TextVAEError, match=rf"{name}\b"):
        OTHERS[name](vae, value)


def test_vector_files_refuse_them_too(vae: TextVAE, tmp_path: Path) -> None:
    for seed in (-1, 0.5, "0"):
        with pytest.raises(UsageError, match="sample_seed"):
            write_vectors(vae, TEXTS, tmp_path / "v.npy", sample_seed=seed)
        with pytest.raises(UsageError, match="sample_seed"):
            stream_vectors(vae, TEXTS, sample_seed=seed)
    with pytest.raises(UsageError, match="quantize 'int4'"):
        write_vectors(vae, TEXTS, tmp_path / "v.npy", quantize="int4")
    assert not list(tmp_path.iterdir())
    assert write_vectors(vae, TEXTS, tmp_path / "v.npy", sample_seed=np.int64(3)).rows == 2
