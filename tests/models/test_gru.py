"""The GRU with its gradient written out is `nn.GRU`; how a new GRU begins."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from textvae.config import ModelConfig
from textvae.data.vocabulary import Vocabulary
from textvae.models.build import build_model
from textvae.models.gru import GRU


def outcomes(gru: nn.GRU, x: Tensor, first: Tensor | None) -> dict[str, Tensor]:
    """States and gradients, the sum over the last state included."""
    x = x.clone().requires_grad_()
    given = None if first is None else first.clone().requires_grad_()
    gru.zero_grad()
    states, last = gru(x, given)
    (states.sin().sum() + last.square().sum()).backward()
    found = {
        "states": states,
        "last": last,
        "x": x.grad,
        "first": None if given is None else given.grad,
    }
    found |= {name: parameter.grad for name, parameter in gru.named_parameters()}
    return {name: value for name, value in found.items() if value is not None}


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("tokens", [1, 6])
@pytest.mark.parametrize("has_first", [True, False])
def test_states_and_gradients_are_those_of_pytorch(
    layers: int, tokens: int, has_first: bool
) -> None:
    torch.manual_seed(0)
    ours = GRU(3, 5, layers).double()
    theirs = nn.GRU(3, 5, layers, batch_first=True).double()
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(4, tokens, 3, dtype=torch.float64)
    first = torch.randn(layers, 4, 5, dtype=torch.float64) if has_first else None
    expected = outcomes(theirs, x, first)
    found = outcomes(ours, x, first)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-12, atol=1e-12)


def test_the_gradient_is_the_slope() -> None:
    torch.manual_seed(1)
    gru = GRU(2, 3).double()
    x = torch.randn(2, 4, 2, dtype=torch.float64, requires_grad=True)
    first = torch.randn(1, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, first: gru(x, first), (x, first))


def test_without_a_gradient_it_is_the_same_code() -> None:
    torch.manual_seed(2)
    ours = GRU(3, 5)
    x = torch.randn(4, 6, 3)
    with torch.no_grad():
        assert torch.equal(ours(x)[0], nn.GRU.forward(ours, x)[0])
    torch.testing.assert_close(ours(x)[0], nn.GRU.forward(ours, x)[0])


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_new_gru_keeps_most_of_its_state(cell: str) -> None:
    """The update gate alone begins at a bias of 1; torch draws each bias within 1/sqrt(H) of 0."""
    config = ModelConfig(encoder=cell, decoder=cell, hidden_size=64, bidirectional=True)  # type: ignore[arg-type]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build_model(config, Vocabulary(20, 0, 1, 2), 8)
    biases = {name: bias for name, bias in model.named_parameters() if "bias_ih" in name}
    assert len(biases) == 3  # forwards, backwards, decoder
    for bias in biases.values():
        means = [gate.mean().item() for gate in bias.detach().split(64)]
        expected = [0.0, 1.0, 0.0] if cell == "gru" else [0.0] * 4
        assert means == pytest.approx(expected, abs=0.1)
