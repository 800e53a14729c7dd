"""Files of llama2.c: the converted network computes what the format defines, the text returns."""

from __future__ import annotations

from pathlib import Path

import llama2c
import numpy as np
import torch

from textvae.data.tokenizers import Tokenizer

SIZES = llama2c.Sizes(
    dim=12, hidden_dim=16, layers=2, heads=3, key_heads=1, vocab_size=265, positions=16
)
PIECES = [" ", "a", "b", "ab", " ab", "c"]  # of the tokenizer, after the bytes


def small_file() -> tuple[bytes, dict[str, np.ndarray]]:
    """A model with random weights and its tokenizer, as a llama2.c file."""
    random = np.random.default_rng(0)
    arrays = {
        name: random.normal(0, 0.5, shape).astype("<f4") for name, shape in SIZES.tensors().items()
    }
    header = np.array([*vars(SIZES).values()], "<i4").tobytes()
    table = [("<unk>", 0.0), ("\n<s>\n", 0.0), ("\n</s>\n", 0.0)]
    table += [(f"<0x{byte:02X}>", 0.0) for byte in range(256)]
    table += [(piece, -float(rank)) for rank, piece in enumerate(PIECES)]
    tokens = np.int32(9).tobytes()
    for piece, score in table:
        content = piece.encode()
        tokens += np.float32(score).tobytes() + np.int32(len(content)).tobytes() + content
    return header + b"".join(array.tobytes() for array in arrays.values()) + tokens, arrays


def logits_of(arrays: dict[str, np.ndarray], ids: list[int]) -> np.ndarray:
    """The logits (T, V) as run.c computes them: rotary positions turn the pairs (2i, 2i + 1)."""
    T, D = len(ids), SIZES.head_dim
    angle = np.arange(T)[:, None] * 10000.0 ** (-np.arange(0, D, 2) / D)
    turn = np.exp(1j * angle)[:, None]  # (T, 1, D / 2)

    def norm(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5) * weight

    def rotated(x: np.ndarray, heads: int) -> np.ndarray:
        pairs = x.reshape(T, heads, D // 2, 2)
        turned = (pairs[..., 0] + 1j * pairs[..., 1]) * turn
        return np.stack([turned.real, turned.imag], -1).reshape(T, heads, D)

    x = arrays["embed"][ids].astype(float)
    for layer in range(SIZES.layers):
        w = {name: array[layer].astype(float) for name, array in arrays.items() if name != "norm"
             and len(array) == SIZES.layers}  # fmt: skip
        h = norm(x, w["attention_norm"])
        q, k = rotated(h @ w["q"].T, SIZES.heads), rotated(h @ w["k"].T, SIZES.key_heads)
        v = (h @ w["v"].T).reshape(T, SIZES.key_heads, D)
        scores = np.einsum("ihd,jd->hij", q, k[:, 0]) / D**0.5
        scores[:, np.triu(np.ones((T, T), bool), 1)] = -np.inf
        weight = np.exp(scores - scores.max(-1, keepdims=True))
        weight /= weight.sum(-1, keepdims=True)
        x = x + np.einsum("hij,jd->ihd", weight, v[:, 0]).reshape(T, -1) @ w["o"].T
        h = norm(x, w["mlp_norm"])
        gate = h @ w["gate"].T
        x = x + (gate / (1 + np.exp(-gate)) * (h @ w["up"].T)) @ w["down"].T
    return norm(x, arrays["norm"]) @ arrays["embed"].T


def test_the_converted_network_computes_what_the_format_defines(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    data, arrays = small_file()
    llama2c.convert(data, tmp_path / "model")
    network = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    ids = [1, 260, 261, 262, 30, 264]
    found = network(torch.tensor([ids])).logits[0].detach().numpy()
    np.testing.assert_allclose(found, logits_of(arrays, ids), rtol=1e-4, atol=1e-4)


def test_the_tokenizer_merges_by_score_and_returns_the_text(tmp_path: Path) -> None:
    llama2c.convert(small_file()[0], tmp_path)
    tokenizer = Tokenizer.load(tmp_path / "tokenizer.json")
    assert tokenizer.encode(["ab c", "ba"]) == [[263, 259, 264], [259, 261, 260]]
    texts = ["ab abc", "  two spaces", "é☃", ""]
    assert tokenizer.decode(tokenizer.encode(texts)) == texts
    assert tokenizer.eos_id == 1  # as in the texts that llama2.c trains on
