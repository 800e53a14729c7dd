"""Sentences as bytes by arithmetic coding with a language model, and back.

The bits of a sentence are its -log2 p(x), apart from rounding. Both directions run the decoder step
by step on the same rows in the same order, because the last bits of a float depend on the batch.
Rissanen & Langdon 1979; Cleary & Witten 1984.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from textvae.decoding.range_coder import TOTAL_BITS, RangeDecoder, RangeEncoder
from textvae.errors import DataError
from textvae.models.decoder import Decoder

Cumulative = NDArray[np.int64]
# (cumulative frequencies (M, V + 1), index of each of M sentences, step) -> tokens (M,)
Choice = Callable[[Cumulative, NDArray[np.int64], int], list[int]]


def encode_tokens(decoder: Decoder, sentences: Sequence[Sequence[int]]) -> bytes:
    """The bytes of sentences, as token ids without end tokens; each fits the decoder's limit."""
    coder, eos = RangeEncoder(), decoder.vocabulary.eos_id
    ended = [[*sentence, eos] for sentence in sentences]

    def choose(cumulative: Cumulative, rows: NDArray[np.int64], t: int) -> list[int]:
        tokens = [ended[row][t] for row in rows]
        for own, token in zip(cumulative, tokens, strict=True):
            coder.add(int(own[token]), int(own[token + 1] - own[token]))
        return tokens

    _walk(decoder, len(ended), choose)
    return coder.finish()


def decode_tokens(decoder: Decoder, content: bytes, n: int) -> list[list[int]]:
    """The n sentences of `encode_tokens`.

    Raises:
        DataError: a sentence exceeds the decoder's limit, so the bytes are of something else.
    """
    coder = RangeDecoder(content)
    found: list[list[int]] = [[] for _ in range(n)]

    def choose(cumulative: Cumulative, rows: NDArray[np.int64], t: int) -> list[int]:
        tokens = []
        for own, row in zip(cumulative, rows, strict=True):
            token = int(np.searchsorted(own, coder.target(), side="right")) - 1
            coder.take(int(own[token]), int(own[token + 1] - own[token]))
            found[row].append(token)
            tokens.append(token)
        return tokens

    _walk(decoder, n, choose)
    return [sentence[:-1] for sentence in found]


def cumulative_frequencies(logits: Tensor) -> Cumulative:
    """The sums of integer frequencies before each token, and 2^24 at the end, (M, V) -> (M, V + 1).

    The frequency of a token is 1 + floor(p (2^24 - V)), and the most probable token has the rest.
    So each token can be coded, and the bits of a token exceed -log2 p by about V / 2^24 at most.
    """
    x = logits.double().cpu().numpy()
    weights = np.exp(x - x.max(1, keepdims=True))
    total, V = 1 << TOTAL_BITS, x.shape[1]
    shares = weights / weights.sum(1, keepdims=True)
    frequencies = np.floor(shares * (total - V)).astype(np.int64) + 1
    rest = total - frequencies.sum(1)
    frequencies[np.arange(len(x)), x.argmax(1)] += rest
    return np.concatenate([np.zeros((len(x), 1), dtype=np.int64), frequencies.cumsum(1)], axis=1)


@torch.inference_mode()
def _walk(decoder: Decoder, n: int, choose: Choice) -> None:
    """Run n sentences step by step until each has chosen the end token."""
    device, eos = decoder.device, decoder.vocabulary.eos_id
    state = decoder.start(None, n)
    tokens = torch.full((n,), decoder.vocabulary.bos_id, device=device)
    rows = np.arange(n)
    for t in range(decoder.max_tokens):
        logits, state = decoder.step(tokens, state)
        chosen = torch.tensor(choose(cumulative_frequencies(logits), rows, t))
        going_on = (chosen != eos).nonzero().squeeze(1)
        if len(going_on) == 0:
            return
        tokens = chosen[going_on].to(device)
        if len(going_on) < len(rows):
            rows, state = rows[going_on.numpy()], state.rows(going_on.to(device))
    raise DataError(f"a sentence has more than {decoder.max_tokens} tokens")
