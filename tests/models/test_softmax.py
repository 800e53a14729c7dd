"""The likelihood in parts equals the likelihood at once, and so do their gradients."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from textvae.models import softmax
from textvae.models.softmax import linear_nll

N, E, V = 23, 5, 11


def operands(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """States, weight, bias with a token ruled out, and targets that avoid it."""
    generator = torch.Generator().manual_seed(3)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=dtype)

    bias = draw(V)
    bias[2] = float("-inf")
    targets = torch.randint(3, V, (N,), generator=generator)
    states, weight = draw(N, E), draw(V, E)
    return states.requires_grad_(), weight.requires_grad_(), bias.requires_grad_(), targets


def gradients(nll: Tensor, *inputs: Tensor) -> list[Tensor]:
    """Of a sum with a different weight for each row."""
    weights = torch.linspace(0.5, 2.0, len(nll), dtype=nll.dtype)
    return list(torch.autograd.grad((nll * weights).sum(), inputs))


# Rows of a part; the last part is shorter. With many rows the slopes are kept.
@pytest.mark.parametrize(("rows", "cached"), [(1, 256), (4, 256), (N - 1, 256), (N, 6), (N, N)])
def test_parts_equal_the_whole(rows: int, cached: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(softmax, "CACHED_ROWS", cached)
    states, weight, bias, targets = operands()
    whole = F.cross_entropy(F.linear(states, weight, bias), targets, reduction="none")
    parts = linear_nll(states, weight, bias, targets, largest=rows * V)
    torch.testing.assert_close(parts, whole)
    expected = gradients(whole, states, weight, bias)
    torch.testing.assert_close(gradients(parts, states, weight, bias), expected)


@pytest.mark.parametrize("rows", [4, N])
def test_the_gradient_is_the_derivative(rows: int) -> None:
    states, weight, _, targets = operands()
    bias = torch.zeros(V, dtype=torch.float64, requires_grad=True)

    def nll(*inputs: Tensor) -> Tensor:
        return linear_nll(*inputs, targets, largest=rows * V)

    assert torch.autograd.gradcheck(nll, (states, weight, bias))


@pytest.mark.parametrize("frozen", [(0,), (1, 2), (0, 2)])
def test_what_is_frozen_changes_no_other_gradient(frozen: tuple[int, ...]) -> None:
    """A pretrained output layer may be frozen, or have no bias that is trained."""
    *inputs, targets = operands()
    trained = [place for place in range(3) if place not in frozen]
    expected = gradients(linear_nll(*inputs, targets), *(inputs[place] for place in trained))
    for place in frozen:
        inputs[place] = inputs[place].detach()
    parts = linear_nll(*inputs, targets, largest=4 * V)
    found = gradients(parts, *(inputs[place] for place in trained))
    torch.testing.assert_close(found, expected)


def test_mixed_precision_is_the_same_at_once_and_in_parts() -> None:
    states, weight, bias, targets = operands(torch.float32)
    found = []
    for largest in (N * V, 4 * V):
        with torch.autocast("cpu", torch.bfloat16):
            nll = linear_nll(states, weight, bias, targets, largest=largest)
        assert nll.dtype == torch.float32
        found.append([nll.detach(), *gradients(nll, states, weight, bias)])
    torch.testing.assert_close(found[0], found[1], atol=0.05, rtol=0.02)
    assert all(gradient.dtype == torch.float32 for gradient in found[1])


def test_an_unlikely_target_has_a_finite_likelihood() -> None:
    """Its probability is 0 in float32, its logarithm is not."""
    states = torch.tensor([[200.0]], requires_grad=True)
    weight, bias = torch.tensor([[1.0], [-1.0]], requires_grad=True), torch.zeros(2)
    nll = linear_nll(states, weight, bias, torch.tensor([1]))
    assert nll.item() == 400
    nll.sum().backward()
    assert states.grad is not None
    assert states.grad.item() == 2


def test_no_row_has_no_likelihood() -> None:
    states, weight, bias, targets = operands()
    assert linear_nll(states[:0], weight, bias, targets[:0]).shape == (0,)
