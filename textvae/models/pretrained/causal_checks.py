"""Checks that a network of transformers is a causal language model that textvae can decode."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import nn

from textvae.errors import ModelFormatError

TOLERANCE = 1e-3  # in states and logits


def cache_argument(backbone: Any) -> str:
    """The name of the argument that takes keys and values; transformers 5.20 renamed it."""
    names = inspect.signature(backbone.base_model.forward).parameters
    return "cache" if "cache" in names else "past_key_values"


@torch.no_grad()
def check_network(backbone: Any) -> None:
    """Raise ModelFormatError if a network cannot decode as `PretrainedDecoder` does."""
    from transformers.cache_utils import DynamicCache, DynamicLayer

    name = type(backbone).__name__
    layers = DynamicCache(config=backbone.config).layers
    if not all(isinstance(layer, DynamicLayer) for layer in layers):
        raise ModelFormatError(
            f"a {name} has layers without keys and values, which textvae cannot decode; choose a "
            "Transformer such as GPT-2, Llama or Qwen"
        )
    output = backbone.get_output_embeddings()
    if not isinstance(output, nn.Linear):
        raise ModelFormatError(f"a {name} has no linear output layer; choose a language model")
    if output.weight.is_meta:
        return
    backbone.eval()
    ids = torch.tensor([[0, 1, 2], [0, 1, 3]], device=output.weight.device)
    states = backbone.base_model(input_ids=ids, use_cache=False).last_hidden_state
    if not torch.allclose(states[0, :2], states[1, :2], atol=TOLERANCE):
        raise ModelFormatError(
            f"a {name} reads later tokens, so it is no causal language model; choose a decoder "
            "such as GPT-2, Llama or Qwen"
        )
    logits = backbone(input_ids=ids, use_cache=False).logits
    if not torch.allclose(output(states), logits, atol=TOLERANCE):
        raise ModelFormatError(
            f"a {name} changes its logits after the output layer, which textvae does not support; "
            "choose another decoder"
        )
