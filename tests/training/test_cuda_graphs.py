"""Steps replayed as CUDA graphs are the steps that they were captured from."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from small_runs import TEXTS, last_checkpoint, tiny_config
from torch.profiler import ProfilerActivity, profile

from textvae.data.batches import Batch, collate
from textvae.data.prepare import load_corpora
from textvae.training.accelerator import accelerator_for
from textvae.training.cuda_graphs import MULTIPLE, rounded
from textvae.training.loop import train_step
from textvae.training.reporting import LoggingReporter
from textvae.training.run import TrainingRun
from textvae.training.train import train_model

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
LAUNCHES = 300  # operators of a step, views included


def batch_of(lengths: list[int]) -> Batch:
    tokens = collate([[5] * length for length in lengths], 2, 0)
    places = torch.arange(len(lengths))
    return Batch(tokens, tokens, places, len(lengths), tokens.ids.size(1), np.arange(len(lengths)))


def test_lengths_are_rounded_up_by_padding_alone() -> None:
    batch = batch_of([3, 12, 0])
    found = rounded(batch, 0, 0)
    assert found.source is found.target
    assert found.source.ids.size(1) % MULTIPLE == 0
    assert found.longest == found.source.ids.size(1)
    assert torch.equal(found.source.lengths, batch.source.lengths)
    assert torch.equal(found.source.ids[:, :13], batch.source.ids)
    assert (found.source.ids[:, 13:] == 0).all()


def test_a_step_launches_few_operators() -> None:
    """What a GPU is asked for one by one, as the profiler counts it on a CPU."""
    none = dict.fromkeys(
        ("embedding_dropout", "variational_dropout", "output_dropout", "word_dropout"), 0.0
    )
    config = tiny_config(encoder="lstm", decoder="lstm", **none)
    corpora = load_corpora(config.data, config.tokenizer, texts=TEXTS)
    with accelerator_for(config.training) as accelerator:
        run = TrainingRun(config, corpora, Path(), accelerator, LoggingReporter())
        batches = list(islice(run.rest_of_epoch(), 3))
        train_step(run, batches[0], kl_weight=0.5, learning_rate=1e-3)
        with profile(activities=[ProfilerActivity.CPU]) as watched:
            train_step(run, batches[1], kl_weight=0.5, learning_rate=1e-3)
    operators = [event for event in watched.events() or [] if event.name.startswith("aten::")]
    outermost = [
        event
        for event in operators
        if event.cpu_parent is None or not event.cpu_parent.name.startswith("aten::")
    ]
    assert 50 < len(outermost) <= LAUNCHES


METHODS: dict[str, dict[str, Any]] = {
    "gru": {},
    "lstm": {"encoder": "lstm", "decoder": "lstm", "layers": 2, "bidirectional": True},
    "transformer": {"encoder": "transformer", "decoder": "transformer"},
    "noise": {"noise_drop": 0.1, "noise_blank": 0.1, "noise_substitute": 0.1, "noise_shuffle": 2.0},
    "target": {"target_kl": 2.0, "bag_of_words_weight": 0.5},
    "batch norm": {"posterior_batch_norm": 0.7, "committed_rate": 0.5, "skip_z": True},
    "adversary": {"model": "ae", "adversarial_weight": 1.0, "mmd_weight": 1.0},
    "phases": {"pretrain_share": 0.3, "aggressive": True},
    "importance": {"importance_samples": 3, "free_bits": 0.0},
    "lm": {"model": "lm"},
}


@needs_gpu
@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())
def test_fifty_captured_steps_are_fifty_eager_ones(method: dict[str, Any], tmp_path: Path) -> None:
    ends = []
    for graphs in (True, False):
        out = tmp_path / str(graphs)
        options = {"device": "cuda", "cuda_graphs": graphs, "max_steps": 50, "eval_steps": 25}
        train_model(tiny_config(**{**method, **options}), out, texts=TEXTS)
        ends.append(last_checkpoint(out))
    captured, eager = ends
    assert captured.keys() == eager.keys()
    for name, value in eager.items():
        scale = value.abs().max().item()
        torch.testing.assert_close(
            captured[name],
            value,
            rtol=0,
            atol=2e-3 * scale + 1e-6,
            msg=lambda m, n=name: f"{n}: {m}",
        )


@needs_gpu
def test_a_run_that_goes_back_or_is_resumed_captures_anew(tmp_path: Path) -> None:
    ends = []
    for graphs in (True, False):
        out = tmp_path / str(graphs)
        for steps in (25, 50):
            options = {"device": "cuda", "cuda_graphs": graphs, "max_steps": steps}
            constant = {"learning_rate_schedule": "constant", "kl_schedule": "constant"}
            config = tiny_config(**options, **constant)
            train_model(config, out, texts=TEXTS, resume=steps == 50)
        ends.append(load_file(out / "model.safetensors"))
        records = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        assert records[-1]["step"] == 50
    for name, value in ends[1].items():
        scale = value.abs().max().item()
        torch.testing.assert_close(ends[0][name], value, rtol=0, atol=2e-3 * scale + 1e-6)
