"""The limit of a case: the time of its matrix products and softmaxes alone on this device.

Each product is timed in several layouts, and the fastest counts. A program at 1.0 of its limit
spends all its time in products and softmaxes at the best speed of the library.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

EXPANSION = 4  # of the feed-forward layer of a Transformer
HEADS = 4
MEMORY = 4  # tokens through which a Transformer decoder reads z
REPEATS = 5  # of a measurement; the fastest counts
LAYERS = 2  # of a Transformer; recurrent networks have one


@dataclass(frozen=True)
class Product:
    """`batch` products of (rows, inner) and (inner, columns), one after another `times` times."""

    rows: int
    inner: int
    columns: int
    batch: int = 1

    @property
    def flops(self) -> int:
        """Floating-point operations."""
        return 2 * self.batch * self.rows * self.inner * self.columns


@dataclass(frozen=True)
class Softmax:
    """The log softmax of (rows, columns), with its gradient where `trained`."""

    rows: int
    columns: int
    trained: bool = False


Work = Counter[Product | Softmax]  # how often each occurs


def with_gradient(work: Work, *, steps: int = 1) -> Work:
    """The products of a forward pass and of its gradient.

    A product that occurs `steps` times, once a token, has its gradient of the weight in one product
    of all tokens.
    """
    found = Work(work)
    for item, times in work.items():
        if isinstance(item, Softmax):
            continue
        m, k, n, b = item.rows, item.inner, item.columns, item.batch
        found[Product(m, n, k, b)] += times
        if steps > 1 and times % steps == 0 and b == 1:
            found[Product(k, m * steps, n)] += times // steps
        else:
            found[Product(k, m, n, b)] += times
    return found


@dataclass(frozen=True)
class Shape:
    """The size of a piece of work for one network."""

    network: str  # gru, lstm or transformer
    sentences: int
    tokens: int  # of each sentence, end token included
    hidden: int
    latent: int
    vocabulary: int

    @property
    def gates(self) -> int:
        """The gates of a recurrent cell; 0 for a Transformer."""
        return {"gru": 3, "lstm": 4}.get(self.network, 0)


def encoder_work(shape: Shape, *, trained: bool) -> Work:
    """The products of the encoder."""
    work = _states(shape, shape.hidden, shape.tokens)
    return with_gradient(work, steps=shape.tokens if shape.gates else 1) if trained else work


def decoder_work(shape: Shape, *, trained: bool) -> Work:
    """The products and the softmax of the decoder, teacher-forced."""
    rows = shape.sentences * shape.tokens
    if shape.gates:
        work = _states(shape, shape.hidden + shape.latent, shape.tokens)
    else:
        work = _states(shape, shape.hidden, shape.tokens + MEMORY)
    work[Product(rows, shape.hidden, shape.vocabulary)] += 1
    if trained:
        work = with_gradient(work, steps=shape.tokens if shape.gates else 1)
    work[Softmax(rows, shape.vocabulary, trained)] += 1
    return work


def writing_work(shape: Shape, *, softmax: bool) -> Work:
    """The products of writing sentences token by token."""
    n, hidden, tokens = shape.sentences, shape.hidden, shape.tokens
    work = Work({Product(n, hidden, shape.vocabulary): tokens})
    if softmax:
        work[Softmax(n, shape.vocabulary)] += tokens
    if shape.gates:
        work[Product(n, hidden + shape.latent, shape.gates * hidden)] += tokens
        work[Product(n, hidden, shape.gates * hidden)] += tokens
        return work
    for t in range(tokens):
        work[Product(n, hidden, hidden)] += 1
        work += _block(n, hidden, n, 1, MEMORY + t + 1)
    return work


def _states(shape: Shape, width: int, tokens: int) -> Work:
    """The products of a network on inputs of `width`, all tokens at once."""
    n, hidden = shape.sentences, shape.hidden
    if shape.gates:
        across = Product(n * tokens, width, shape.gates * hidden)
        return Work({across: 1, Product(n, hidden, shape.gates * hidden): tokens})
    widen = Work({Product(n * tokens, width, hidden): 1})
    return widen + _block(n * tokens, hidden, n, tokens, tokens)


def _block(rows: int, hidden: int, sentences: int, queries: int, keys: int) -> Work:
    """The products of all layers of a Transformer."""
    size, wide, many = hidden // HEADS, EXPANSION * hidden, sentences * HEADS
    products = (
        Product(rows, hidden, 3 * hidden),
        Product(rows, hidden, hidden),
        Product(rows, hidden, wide),
        Product(rows, wide, hidden),
        Product(queries, size, keys, many),
        Product(queries, keys, size, many),
    )
    return Work(dict.fromkeys(products, LAYERS))


def seconds_of(work: Work, device: str, precision: str, clock: Callable[[], float]) -> float:
    """The time of all products and softmaxes of `work` on a device."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    total = 0.0
    for item, times in work.items():
        if isinstance(item, Product):
            ways = _product_layouts(item, device, dtype)
        else:
            ways = [_softmax(item, device)]
        total += times * min(_least(way, device, clock) for way in ways)
    return total


def _product_layouts(
    product: Product, device: str, dtype: torch.dtype
) -> Iterable[Callable[[], object]]:
    m, k, n, b = product.rows, product.inner, product.columns, product.batch

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, device=device, dtype=dtype)

    if b > 1:
        left, right = draw(b, m, k), draw(b, k, n)
        yield lambda: torch.bmm(left, right)
        return
    a, w, wt = draw(m, k), draw(n, k), draw(k, n)
    out, at = draw(m, n), draw(k, m)
    yield lambda: F.linear(a, w)
    yield lambda: torch.mm(a, wt, out=out)
    yield lambda: torch.mm(at.T, wt, out=out)
    onednn = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
    if device == "cpu" and onednn is not None and torch.backends.mkldnn.is_available():
        yield lambda: onednn(a, w, None, "none", [], "")


def _softmax(softmax: Softmax, device: str) -> Callable[[], object]:
    logits = torch.randn(softmax.rows, softmax.columns, device=device)
    if not softmax.trained:
        return lambda: torch.log_softmax(logits, 1)
    logits.requires_grad_()
    targets = torch.zeros(softmax.rows, dtype=torch.int64, device=device)

    def run() -> None:
        logits.grad = None
        F.cross_entropy(logits, targets).backward()  # type: ignore[no-untyped-call]

    return run


def _least(run: Callable[[], object], device: str, clock: Callable[[], float]) -> float:
    """The least time of one call; quick calls are made several times in a row."""
    run()
    once = _seconds(run, 1, device, clock)
    count = max(1, min(50, round(0.004 / max(once, 1e-7))))
    return min(_seconds(run, count, device, clock) for _ in range(REPEATS))


def _seconds(
    run: Callable[[], object], count: int, device: str, clock: Callable[[], float]
) -> float:
    started = clock()
    for _ in range(count):
        run()
    if device != "cpu":
        torch.cuda.synchronize()
    return (clock() - started) / count
