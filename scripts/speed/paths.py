"""The hot paths of textvae, each prepared once and then run for a while."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from speed.cases import Case, read_lines
from speed.limits import Shape, Work, decoder_work, encoder_work, writing_work

from textvae import TextVAE
from textvae.config import Config
from textvae.data.prepare import load_corpora
from textvae.data.tokenizers import Tokenizer
from textvae.decoding.generation import generate
from textvae.decoding.settings import Sampling
from textvae.evaluation.likelihood import sampled_rows_a_call
from textvae.models.build import build_model
from textvae.training.accelerator import accelerator_for, reuse_freed_memory, synchronize
from textvae.training.loop import train_step
from textvae.training.reporting import LoggingReporter
from textvae.training.run import TrainingRun

LEAST_TOKENS = 128  # that a model reads and writes


@dataclass(frozen=True)
class Prepared:
    """A path that is ready to run."""

    run: Callable[[], int]  # does a piece of work; the real tokens in it, end tokens included
    work: Work  # the products and softmaxes of one piece
    wait: Callable[[], None]  # until the device has finished


@contextmanager
def prepared(case: Case) -> Iterator[Prepared]:
    """The path of a case, with weights that are not trained."""
    with ExitStack() as stack:
        if case.path == "train":
            yield stack.enter_context(_training(case))
        else:
            if case.device == "cpu":
                reuse_freed_memory()
            yield {
                "greedy": _writing, "sample": _writing, "nll_iw": _likelihood, "embed": _embedding,
            }[case.path](case)  # fmt: skip


def window(path: Prepared, seconds: float, clock: Callable[[], float]) -> tuple[float, int, int]:
    """(seconds, tokens, pieces) of work for at least so many seconds."""
    tokens = pieces = 0
    started = clock()
    while True:
        tokens += path.run()
        pieces += 1
        if clock() - started >= seconds:
            path.wait()
            return clock() - started, tokens, pieces


def options(case: Case) -> dict[str, Any]:
    """The model of the benchmark; a Transformer has two layers."""
    layers = 2 if case.network == "transformer" else 1
    networks = {"encoder": case.network, "decoder": case.network, "layers": layers}
    widths = {"hidden_size": case.hidden, "embedding_size": case.hidden, "tie_weights": False}
    limits = {"latent_size": case.latent, "max_tokens": max(LEAST_TOKENS, case.length + 2)}
    return {**networks, **widths, **limits}


@contextmanager
def _training(case: Case) -> Iterator[Prepared]:
    with tempfile.TemporaryDirectory() as folder:
        fixed = {"tokenizer": "word", "vocab_size": case.vocabulary + 4, "cache_dir": folder}
        chosen = {"device": case.device, "precision": case.precision, "max_steps": 10**6}
        size = {"batch_size": case.sentences}
        config = Config.resolve(options={**options(case), **fixed, **chosen, **size})
        corpora = load_corpora(config.data, config.tokenizer, texts=read_lines(case.file))
        with accelerator_for(config.training) as accelerator:
            run = TrainingRun(config, corpora, Path(folder), accelerator, LoggingReporter())
            batches = list(islice(run.rest_of_epoch(), 100))
            longest = max(range(len(batches)), key=lambda i: batches[i].longest)
            batches.insert(0, batches.pop(longest))  # has the peak of memory
            lengths = [int(run.plan.lengths[batch.indices].sum()) for batch in batches]
            endless = cycle(zip(batches, lengths, strict=True))

            def step() -> int:
                batch, tokens = next(endless)
                train_step(run, batch, kl_weight=0.5, learning_rate=1e-3)
                return tokens

            warm = 3 * len({batch.longest for batch in batches}) + 200 if _cuda(case) else 2
            for _ in range(warm):
                step()
            sentences = sum(len(batch.target) for batch in batches)
            T = max(1, round(sum(lengths) / sentences))
            B = round(sentences / len(batches))
            V = corpora.tokenizer.vocabulary.size
            shape = Shape(case.network, B, T, case.hidden, case.latent, V)
            work = encoder_work(shape, trained=True) + decoder_work(shape, trained=True)
            yield Prepared(step, work, lambda: synchronize(run.device))


def model_for(case: Case) -> TextVAE:
    """A model of all words of the file, with random weights large enough to be told apart."""
    lines = read_lines(case.file)
    tokenizer = Tokenizer.train(lines, kind="word", vocab_size=case.vocabulary + 4)
    config = Config.resolve(options=options(case))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build_model(config.model, tokenizer.vocabulary, config.data.max_tokens)
    return TextVAE(model.to(case.device), tokenizer, config)


def _writing(case: Case) -> Prepared:
    """Sentences of a fixed length: neither shorter nor longer."""
    vae = model_for(case)
    strategy = "greedy" if case.path == "greedy" else "sample"
    settings = Sampling(strategy, min_tokens=case.length, max_tokens=case.length + 1)
    seeds = iter(range(10**9))

    def write() -> int:
        found = generate(
            vae.model, case.sentences, settings, seed=next(seeds), batch_size=case.sentences
        )
        return sum(len(ids) + 1 for ids in found)

    V = vae.tokenizer.vocabulary.size
    shape = Shape(case.network, case.sentences, case.length + 1, case.hidden, case.latent, V)
    work = writing_work(shape, softmax=case.path == "sample")
    return Prepared(write, work, lambda: synchronize(vae.device))


def _likelihood(case: Case) -> Prepared:
    vae = model_for(case)
    texts, tokens = _some(case, vae)

    def estimate() -> int:
        vae.log_likelihood(texts, samples=case.samples)
        return tokens * case.samples

    B, T = len(texts), round(tokens / len(texts))
    V = vae.tokenizer.vocabulary.size
    work = encoder_work(Shape(case.network, B, T, case.hidden, case.latent, V), trained=False)
    at_once = B * case.samples
    if case.device == "cpu":
        at_once = min(case.samples, sampled_rows_a_call(vae.model, T))
    call = decoder_work(Shape(case.network, at_once, T, case.hidden, case.latent, V), trained=False)
    calls = round(B * case.samples / at_once)
    return Prepared(
        estimate,
        work + Work({item: calls * times for item, times in call.items()}),
        lambda: synchronize(vae.device),
    )


def _embedding(case: Case) -> Prepared:
    vae = model_for(case)
    texts, tokens = _some(case, vae)

    def embed() -> int:
        vae.embed(texts)
        return tokens

    B, T = 256, round(tokens / len(texts))
    V = vae.tokenizer.vocabulary.size
    batch = encoder_work(Shape(case.network, B, T, case.hidden, case.latent, V), trained=False)
    batches = len(texts) / B
    work = Work({item: max(1, round(batches * times)) for item, times in batch.items()})
    return Prepared(embed, work, lambda: synchronize(vae.device))


def _some(case: Case, vae: TextVAE) -> tuple[list[str], int]:
    """Sentences from all of the file, and their tokens, end tokens included."""
    lines = read_lines(case.file)
    rows = np.linspace(0, len(lines) - 1, case.sentences).astype(int)
    texts = [lines[row] for row in rows]
    return texts, sum(len(ids) + 1 for ids in vae.tokenizer.encode(texts))


def _cuda(case: Case) -> bool:
    return case.device.startswith("cuda")
