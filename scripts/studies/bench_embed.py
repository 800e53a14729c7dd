"""Time of `textvae embed` beside that of the encoder's matrix products alone, as JSON.

    python scripts/studies/bench_embed.py --sentences 200000
    python scripts/studies/bench_embed.py --model runs/mine --file reviews.txt --out vectors.jsonl

The products are those of the batches that `embed` made, padding included: of recurrent layers the
input projection of all tokens and a product for each step, else those of the linear layers and of
attention; then the head. Both take turns, piece by piece, so that they meet the same machine.
Without a model, one of the default sizes has random weights.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from bench_corpus import write_sentences
from torch import Tensor, nn

from textvae.api import TextVAE
from textvae.cli.main import run
from textvae.config import Config, ModelConfig
from textvae.data.opening import open_rows
from textvae.data.tokenizers import Tokenizer
from textvae.models.build import build_model
from textvae.models.posterior import GaussianPosterior
from textvae.models.transformer import Block as TransformerBlock
from textvae.training.accelerator import synchronize

Product = tuple[tuple[int, ...], tuple[int, ...], int]  # shapes of the factors, how often


def main() -> None:
    """Writes the pieces, embeds each and repeats its products, prints sums and their ratio."""
    arguments = parsed_arguments()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory(prefix="textvae-bench-") as name:
        folder = Path(name)
        file = arguments.file or folder / "sentences.txt"
        if arguments.file is None:
            write_sentences(file, arguments.sentences)
        model = arguments.model or random_model(folder / "model", file, arguments.layers)
        count = arguments.sentences // arguments.pieces
        pieces = list(pieces_of(file, folder, count, arguments.pieces))
        out = folder / arguments.out
        embed(model, pieces[0], out, arguments.device)  # pays for imports and first uses
        spent = [measured(model, piece, out, arguments.device) for piece in pieces]
    embedding, products = (sum(seconds) for seconds in zip(*spent, strict=True))
    report = {
        "sentences": count * arguments.pieces,
        "threads": torch.get_num_threads(),
        "device": arguments.device,
        "out": arguments.out,
        "embed_seconds": round(embedding, 2),
        "products_seconds": round(products, 2),
        "ratio": round(embedding / products, 3),
        "sentences_per_second": round(count * arguments.pieces / embedding),
        "ratio_of_each_piece": [round(a / b, 3) for a, b in spent],
    }
    print(json.dumps(report, indent=2))


def parsed_arguments() -> argparse.Namespace:
    """The options of this script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sentences", type=int, default=200_000)
    parser.add_argument("--pieces", type=int, default=4, help="turns of embed and products")
    parser.add_argument("--model", type=Path, help="default: random weights in default sizes")
    parser.add_argument("--file", type=Path, help="default: random words, Zipf's frequencies")
    parser.add_argument("--out", default="vectors.npy", help="its ending is the format")
    parser.add_argument("--layers", type=int, default=1, help="of the model with random weights")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, help="of torch; default: as it decides")
    return parser.parse_args()


def random_model(folder: Path, file: Path, layers: int) -> Path:
    """A model of the default sizes for the words of `file`."""
    texts = [row.text for row in islice(open_rows([str(file)]), 20_000)]
    tokenizer = Tokenizer.train(texts, kind="bpe")
    config = Config(model=ModelConfig(layers=layers))
    model = build_model(config.model, tokenizer.vocabulary, config.data.max_tokens)
    TextVAE(model, tokenizer, config).save_pretrained(folder)
    return folder


def pieces_of(file: Path, folder: Path, count: int, pieces: int) -> Iterator[Path]:
    """Files of `count` sentences each."""
    rows = open_rows([str(file)])
    for number in range(pieces):
        path = folder / f"piece-{number}.txt"
        texts = [" ".join(row.text.split()) for row in islice(rows, count)]
        if len(texts) < count:
            raise SystemExit(f"{file}: fewer than {pieces} times {count} sentences")
        path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
        yield path


def embed(model: Path, piece: Path, out: Path, device: str) -> float:
    """Seconds of `textvae embed` within this process: loading, computing, writing."""
    start = time.perf_counter()
    code = run(["embed", str(model), str(piece), "--out", str(out), "--device", device, "--quiet"])
    if code != 0:
        raise SystemExit(code)
    return time.perf_counter() - start


def measured(model: Path, piece: Path, out: Path, device: str) -> tuple[float, float]:
    """Seconds of `embed` and of its matrix products alone."""
    with recorded_products() as products:
        seconds = embed(model, piece, out, device)
    return seconds, replay(products, torch.device(device))


@contextlib.contextmanager
def recorded_products() -> Iterator[list[Product]]:
    """The matrix products of all modules that are called meanwhile."""
    products: list[Product] = []

    def record(module: nn.Module, inputs: Sequence[Any], output: Any) -> None:
        for kind, products_of in PRODUCTS.items():
            if isinstance(module, kind):
                products.extend(products_of(module, inputs[0]))

    handle = nn.modules.module.register_module_forward_hook(record)
    try:
        yield products
    finally:
        handle.remove()


def of_recurrent_layer(module: nn.RNNBase, x: Tensor) -> list[Product]:
    """The projection of all inputs (B * T, E), then a product of the state (B, H) a step."""
    B, T, E = x.shape
    gates = module.weight_hh_l0.size(0)
    return [((B * T, E), (E, gates), 1), ((B, module.hidden_size), (module.hidden_size, gates), T)]


def of_linear_layer(module: nn.Linear, x: Tensor) -> list[Product]:
    """One product over all rows."""
    return [((x[..., 0].numel(), x.size(-1)), (x.size(-1), module.out_features), 1)]


def of_attention(module: TransformerBlock, x: Tensor) -> list[Product]:
    """Queries by keys, weights by values, of all heads."""
    B, T, H = x.shape
    width = H // module.heads
    heads = B * module.heads
    return [((heads, T, width), (heads, width, T), 1), ((heads, T, T), (heads, T, width), 1)]


def of_head(module: Any, source: Any) -> list[Product]:
    """The bottleneck, which the encoder applies by hand."""
    head = module.head
    return [((len(source), head.in_features), (head.in_features, head.out_features), 1)]


PRODUCTS: dict[type[nn.Module], Callable[[Any, Any], list[Product]]] = {
    nn.GRU: of_recurrent_layer,
    nn.LSTM: of_recurrent_layer,
    nn.Linear: of_linear_layer,
    TransformerBlock: of_attention,
    GaussianPosterior: of_head,
}


@torch.inference_mode()
def replay(products: Sequence[Product], device: torch.device) -> float:
    """Seconds that the products take, on numbers that lie ready."""
    factors = {
        shape: torch.randn(shape, device=device)
        for left, right, _ in products
        for shape in (left, right)
    }
    synchronize(device)
    start = time.perf_counter()
    for left, right, times in products:
        for _ in range(times):
            torch.matmul(factors[left], factors[right])
    synchronize(device)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
