"""Tiny random networks of transformers, as folders or in memory, for tests of pretrained parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from small_runs import TEXTS
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import nn

SIZES: dict[str, dict[str, Any]] = {
    "gpt2": {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 64},
    "llama": {
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 64,
    },
    "qwen2": {
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 64,
        "tie_word_embeddings": True,
    },
}


def causal_network(
    kind: str, vocab_size: int, *, seed: int = 0, scale: float = 0.5, **sizes: Any
) -> Any:
    """A causal language model with random weights, large enough that every token matters."""
    from transformers import AutoConfig, AutoModelForCausalLM

    tokens = {"vocab_size": vocab_size, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": None}
    config = AutoConfig.for_model(kind, **{**SIZES[kind], **tokens, **sizes})
    network = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    spread(network, seed, scale)
    return network.eval()


@torch.no_grad()
def spread(network: nn.Module, seed: int, scale: float) -> None:
    """Random weights of a size that makes the outputs of a tiny network differ."""
    random = torch.Generator().manual_seed(seed)
    for name, parameter in network.named_parameters():
        if "norm" in name or "ln_" in name:
            parameter.normal_(1.0, 0.2, generator=random)
        else:
            parameter.normal_(std=scale, generator=random)


def write_decoder(folder: Path, kind: str = "gpt2", *, seed: int = 0) -> Path:
    """A folder with a tiny causal language model and its byte-level tokenizer.

    The tokenizer of GPT-2 has one special token, that of Llama a start and an end token.
    """
    specials = ["<|endoftext|>"] if kind == "gpt2" else ["<unk>", "<s>", "</s>"]
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=specials, initial_alphabet=alphabet, show_progress=False
    )
    backend.train_from_iterator(TEXTS, trainer)
    folder.mkdir(parents=True, exist_ok=True)
    backend.save(str(folder / "tokenizer.json"))
    start = specials[0] if kind == "gpt2" else "<s>"
    ids = {
        "bos_token_id": backend.token_to_id(start),
        "eos_token_id": backend.token_to_id(specials[-1]),
    }
    network = causal_network(kind, backend.get_vocab_size(), seed=seed, scale=0.2, **ids)
    network.save_pretrained(folder)
    return folder
