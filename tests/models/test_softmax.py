"""The likelihood in parts equals the likelihood at once, and so do their gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

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


@pytest.mark.parametrize(("cached", "folded"), [(6, 1), (6, 99), (N, 1)])
def test_inference_holds_a_part_of_the_logits_and_equals_the_whole(
    cached: int, folded: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the bias folded into the weight, and without."""
    monkeypatch.setattr(softmax, "CACHED_ROWS", cached)
    monkeypatch.setattr(softmax, "FOLDED_PARTS", folded)
    *inputs, targets = operands(torch.float32)
    with torch.inference_mode(), LargestResult() as largest:
        found = linear_nll(*inputs, targets)
    assert largest.numbers <= max(cached * V, V * (E + 8))
    whole = F.cross_entropy(F.linear(*inputs), targets, reduction="none")
    torch.testing.assert_close(found, whole.detach(), rtol=1e-6, atol=1e-6)


class LargestResult(TorchDispatchMode):
    """The most numbers that an operator in this block returned."""

    numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor):
            self.numbers = max(self.numbers, result.numel())
        return result


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
    nll = linear_nll(states[:0], weight, bias, targets[:0])
    assert nll.shape == (0,)
    assert not torch.autograd.grad(nll.sum(), weight)[0].any()


def test_only_the_gradients_that_are_asked_for_are_formed() -> None:
    states, weight, bias, targets = operands()
    nll = linear_nll(states, weight.detach(), bias.detach(), targets)
    whole = F.cross_entropy(F.linear(states, weight, bias), targets, reduction="none")
    found, expected = (torch.autograd.grad(x.sum(), states)[0] for x in (nll, whole))
    torch.testing.assert_close(found, expected)
