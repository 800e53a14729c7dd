"""Tiny random networks of transformers, as folders or in memory, for tests of pretrained parts."""

from __future__ import annotations

from typing import Any

import torch
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


def causal_network(kind: str, vocab_size: int, *, seed: int = 0, **sizes: Any) -> Any:
    """A causal language model with random weights, large enough that every token matters."""
    from transformers import AutoConfig, AutoModelForCausalLM

    tokens = {"vocab_size": vocab_size, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": None}
    config = AutoConfig.for_model(kind, **{**SIZES[kind], **tokens, **sizes})
    network = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    spread(network, seed)
    return network.eval()


@torch.no_grad()
def spread(network: nn.Module, seed: int) -> None:
    """Random weights of a size that makes the outputs of a tiny network differ."""
    random = torch.Generator().manual_seed(seed)
    for name, parameter in network.named_parameters():
        if "norm" in name or "ln_" in name:
            parameter.normal_(1.0, 0.2, generator=random)
        else:
            parameter.normal_(std=0.5, generator=random)
