"""Arithmetic coding: symbols and sentences come back, and their bits are their probabilities."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from random_models import random_word_model, word_tokenizer

from textvae.decoding.coded_tokens import cumulative_frequencies, decode_tokens, encode_tokens
from textvae.decoding.range_coder import TOTAL_BITS, RangeDecoder, RangeEncoder
from textvae.errors import DataError
from textvae.evaluation.likelihood import chunks_by_length, log_likelihoods

TOTAL = 1 << TOTAL_BITS
TOKENIZER = word_tokenizer()
TEXTS = ["the cat sees the dog .", "", "soup .", "the dog", "cat cat cat", "the"] * 40


@pytest.mark.parametrize("seed", range(4))
def test_symbols_come_back_and_take_their_bits(seed: int) -> None:
    random = np.random.default_rng(seed)
    cuts = np.sort(random.choice(TOTAL - 1, size=9 if seed else 1, replace=False)) + 1
    edges = [0, *map(int, cuts), TOTAL]
    shares = np.diff(edges) / TOTAL
    if seed == 1:  # only the most and the least probable ones, for long carries
        shares = np.where(shares == shares.max(), 1 - 1e-4, 1e-4 / (len(shares) - 1))
    symbols = random.choice(len(shares), size=4000, p=shares / shares.sum()).tolist()
    encoder, bits = RangeEncoder(), 0.0
    for s in symbols:
        encoder.add(edges[s], edges[s + 1] - edges[s])
        bits -= math.log2((edges[s + 1] - edges[s]) / TOTAL)
    content = encoder.finish()
    assert bits <= 8 * len(content) <= bits + 64 + 1e-3 * bits
    decoder = RangeDecoder(content)
    for s in symbols:
        assert edges[s] <= decoder.target() < edges[s + 1]
        decoder.take(edges[s], edges[s + 1] - edges[s])


def test_a_carry_runs_through_full_bytes() -> None:
    # 0.1111... in binary, and then a step over: the bytes before must become 1.000...
    encoder, decoded = RangeEncoder(), []
    symbols = [(TOTAL - 1, 1)] + [(TOTAL // 256 * 255, TOTAL // 256)] * 20 + [(TOTAL - 1, 1)] * 5
    for start, frequency in symbols:
        encoder.add(start, frequency)
    decoder = RangeDecoder(encoder.finish())
    for start, frequency in symbols:
        decoded.append(start <= decoder.target() < start + frequency)
        decoder.take(start, frequency)
    assert all(decoded)


def test_bytes_of_no_encoder_are_noticed() -> None:
    decoder = RangeDecoder(b"\xff" * 200)
    for _ in range(40):  # until the range is no multiple of 2^24: all ones lie above its shares
        decoder.take(TOTAL - 3, 3)
    with pytest.raises(DataError, match="of no range coder"):
        decoder.target()


def test_frequencies_are_whole_positive_and_near_the_probabilities() -> None:
    logits = torch.randn(50, 30, generator=torch.Generator().manual_seed(0)) * 6
    logits[:, 3] = -torch.inf
    cumulative = cumulative_frequencies(logits)
    frequencies = np.diff(cumulative, axis=1)
    assert (cumulative[:, 0] == 0).all()
    assert (cumulative[:, -1] == TOTAL).all()
    assert frequencies.min() == 1
    p = logits.double().softmax(1).numpy()
    assert np.abs(frequencies / TOTAL - p).max() < 31 / TOTAL


@pytest.mark.parametrize("network", ["gru", "lstm", "transformer"])
def test_sentences_come_back_in_about_their_bits(network: str) -> None:
    model = random_word_model("lm", decoder=network, hidden_size=8)
    ids = TOKENIZER.encode(TEXTS)
    content = encode_tokens(model.decoder, ids)
    assert decode_tokens(model.decoder, content, len(ids)) == ids
    nats = -log_likelihoods(model, chunks_by_length(ids, model), None).sum().item()
    assert 8 * len(content) == pytest.approx(nats / math.log(2), rel=1e-3, abs=64)


def test_bytes_of_something_else_end_in_an_error_or_in_other_sentences() -> None:
    model = random_word_model("lm", max_tokens=3)
    with torch.no_grad():
        model.decoder.output.bias[model.decoder.vocabulary.eos_id] = -50.0  # hardly ever ends
    with pytest.raises(DataError, match="more than 3 tokens"):
        decode_tokens(model.decoder, b"\x55" * 40, 20)
