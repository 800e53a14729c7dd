"""Reads model folders of format version 1, where a model was not divided into parts."""

from __future__ import annotations

from typing import Any

# Prefixes of tensor names: now -> in version 1.
_FORMER = {
    "posterior.": "encoder.",
    "prior.mean": "code_mean",
    "prior.factor": "code_factor",
    "decoder.network.": "decoder.",
    "decoder.": "",
}


def weight_name(name: str) -> str:
    """The name of a tensor in version 1.

    >>> weight_name("decoder.network.rnn.bias_hh_l0"), weight_name("decoder.output.bias")
    ('decoder.rnn.bias_hh_l0', 'output.bias')
    """
    for start, former in _FORMER.items():
        if name.startswith(start):
            return former + name.removeprefix(start)
    return name


def description(found: dict[str, Any]) -> dict[str, Any]:
    """A config.json of version 1, converted to version 2; not checked yet."""
    own = dict(found)
    both = {"tokenizer": "tokenizer.json"}
    both |= {
        name: own.pop(name)
        for name in ("vocab_size", "pad_id", "bos_id", "eos_id", "max_tokens")
        if name in own
    }
    text = {name: own.pop(name) for name in ("lowercase", "normalization") if name in own}
    architecture = own.get("architecture")
    alone = isinstance(architecture, dict) and architecture.get("model") == "lm"
    return {**own, "text": text, "encoder": None if alone else both, "decoder": both}
