"""A layer with its bias folded in is the layer, and a decoder with it is the decoder."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from random_models import random_model
from torch import Tensor

from textvae.models.decoder import FOLDED_ROWS, NetworkState
from textvae.models.folded_linear import ALIGNED, FoldedLinear
from textvae.models.sentence import SentenceModel

N = FOLDED_ROWS
NETWORKS: tuple[dict[str, Any], ...] = (
    {"decoder": "gru", "layers": 2, "tie_weights": False},
    {"decoder": "lstm", "skip_z": True},
    {"decoder": "transformer", "embedding_size": 8, "heads": 2},
)


def latents(n: int) -> Tensor:
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(2))


@torch.inference_mode()
def logits_of_steps(model: SentenceModel, n: int) -> Tensor:
    """Of the first `n` of N sentences at three tokens, (3, n, V)."""
    state = model.decoder.start(latents(N)[:n], n)
    tokens, found = torch.full((n,), 1), []
    for t in range(3):
        logits, state = model.decoder.step(tokens, state)
        found.append(logits)
        tokens = torch.arange(n) % 3 + 3 + t % 2
    return torch.stack(found)


@pytest.mark.parametrize("width", [1, 7, 8, 9])
def test_outputs_are_those_of_the_layer(width: int) -> None:
    random = torch.Generator().manual_seed(width)
    x, weight, bias = (
        torch.randn(*shape, generator=random) for shape in ((5, width), (11, width), (11,))
    )
    bias[2] = -torch.inf
    layer = FoldedLinear.of(weight, bias)
    assert layer.weight.size(1) % ALIGNED == 0
    torch.testing.assert_close(layer(x), F.linear(x, weight, bias), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("sizes", NETWORKS, ids=lambda sizes: sizes["decoder"])
def test_many_sentences_have_the_logits_of_few(sizes: dict[str, Any]) -> None:
    model = random_model(words=20, **sizes)
    many, few = logits_of_steps(model, N), logits_of_steps(model, N - 1)
    torch.testing.assert_close(many[:, :-1], few, rtol=1e-5, atol=1e-5)


@torch.inference_mode()
def test_rows_of_a_state_keep_the_layer_and_no_later_state_does() -> None:
    """Weights may change between two calls, as they do between two validations."""
    model = random_model(words=20)
    states = []
    for _ in range(2):
        state = model.decoder.start(latents(N), N)
        assert isinstance(state, NetworkState)
        states.append(state)
        few = state.rows(torch.tensor([5, 5, 0]))
        logits, after = model.decoder.step(torch.tensor([3, 4, 5]), few)
        expected, _ = model.decoder.step(
            torch.tensor([3, 4, 5]), model.decoder.start(latents(N)[[5, 5, 0]], 3)
        )
        torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)
        assert few.folded is after.folded is state.folded is not None
        model.decoder.output.bias.add_(1 + torch.arange(len(model.decoder.output.bias)))
    assert states[0].folded is not states[1].folded


def test_a_state_with_gradients_has_no_copy_of_the_layer() -> None:
    model = random_model(words=20)
    state = model.decoder.start(latents(N), N)
    logits, _ = model.decoder.step(torch.full((N,), 3), state)
    (gradient,) = torch.autograd.grad(logits[:, 3:].sum(), model.decoder.output.bias)
    assert gradient[3:].tolist() == [N] * 20
