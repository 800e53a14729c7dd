"""Memory and time of a training step over a large vocabulary, with all logits at once and in parts.

    python scripts/studies/large_vocabulary.py --table scripts/results/large-vocabulary.json

A pretrained decoder with random weights (Llama, 2 layers of width 256, tied output layer) reads
32 sentences of 64 tokens and a z of 32 numbers, and makes steps of AdamW, the first with one
sentence. Each case runs in a process of its own. Memory is the peak of the steps above the memory
before them, of the process or of the GPU. Seconds are of the last step: those of the processor,
whatever else it does, or on a GPU those of the clock.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from commands import provenance

from textvae.config import ModelConfig
from textvae.data.batches import Tokens
from textvae.data.vocabulary import Vocabulary
from textvae.models.device import reuse_freed_memory
from textvae.models.pretrained import causal
from textvae.models.softmax import linear_nll

BATCH, LENGTH, WIDTH = 32, 64, 256
ALL_AT_ONCE = 1 << 62  # logits


def main(arguments: list[str]) -> None:
    """Measure all cases and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vocabularies", type=int, nargs="*", default=[50_000, 150_000])
    parser.add_argument("--modes", nargs="*", default=["frozen", "full"])
    parser.add_argument("--logits", nargs="*", default=["parts", "whole"])
    parser.add_argument("--precision", choices=["float32", "bf16"], default="float32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--case", help="one case, as JSON; for the study itself")
    parser.add_argument("--table", type=Path, metavar="FILE.json")
    options = parser.parse_args(arguments)
    if options.case is not None:
        print(json.dumps(measure(**json.loads(options.case))))
        return
    rows = []
    for vocabulary in options.vocabularies:
        for mode in options.modes:
            for logits in options.logits:
                case = {
                    "vocabulary": vocabulary,
                    "mode": mode,
                    "logits": logits,
                    "precision": options.precision,
                    "device": options.device,
                }
                rows.append(in_its_own_process(case))
                print(json.dumps(rows[-1]), flush=True)
    if options.table is not None:
        what = (
            f"a training step over a large vocabulary: {BATCH} sentences of {LENGTH} tokens, a "
            f"random Llama of 2 layers and width {WIDTH} as decoder"
        )
        content = {**provenance(what), "rows": rows}
        options.table.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def in_its_own_process(case: dict[str, Any]) -> dict[str, Any]:
    """The figures of a case; peaks of memory are those of a whole process."""
    command = [sys.executable, __file__, "--case", json.dumps(case)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def measure(vocabulary: int, mode: str, logits: str, precision: str, device: str) -> dict[str, Any]:
    """Memory and time of the second of two steps."""
    on_gpu = device.startswith("cuda")
    if not on_gpu:
        reuse_freed_memory()  # as training does
    if logits == "whole":
        causal.linear_nll = partial(linear_nll, largest=ALL_AT_ONCE)
    decoder = random_decoder(vocabulary, mode).to(device).train()
    optimizer = torch.optim.AdamW([p for _, p in decoder.trained()], fused=True)
    random = torch.Generator().manual_seed(0)
    ids = torch.randint(3, vocabulary, (BATCH, LENGTH), generator=random)
    target = Tokens(ids, torch.full((BATCH,), LENGTH)).to(device)
    z = torch.randn(BATCH, 32, generator=random).to(device)

    def step(target: Tokens, z: torch.Tensor) -> None:
        with torch.autocast(device.split(":")[0], torch.bfloat16, enabled=precision == "bf16"):
            loss = -decoder.log_likelihood(target, z).sum() / BATCH
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if on_gpu:
            torch.cuda.synchronize()

    step(target.rows(slice(1)), z[:1])  # loads what the first step needs
    before = torch.cuda.memory_allocated() if on_gpu else psutil.Process().memory_info().rss
    step(target, z)
    clock = time.perf_counter if on_gpu else time.process_time
    started = clock()
    step(target, z)
    seconds = clock() - started
    if on_gpu:
        peak = torch.cuda.max_memory_allocated()
    else:
        peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    case = {"vocabulary": vocabulary, "mode": mode, "logits": logits, "precision": precision}
    return {**case, "memory_mib": (peak - before) >> 20, "seconds": round(seconds, 2)}


def random_decoder(vocabulary: int, mode: str) -> causal.PretrainedDecoder:
    """A pretrained decoder with random weights."""
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(
        "llama",
        vocab_size=vocabulary,
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
    )
    settings = ModelConfig(decoder="random/llama", decoder_training=mode)
    network = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    roles = Vocabulary(vocabulary, 0, 1, 2)
    return causal.PretrainedDecoder(settings, roles, 128, 32, None, network)


if __name__ == "__main__":
    main(sys.argv[1:])
