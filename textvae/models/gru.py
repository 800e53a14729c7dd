"""A GRU whose gradient takes few operations on a CPU: `nn.GRU` for everything else.

PyTorch has no fused GRU for CPUs. Autograd records some thirty operations for each token and adds
up the gradients of the weights token by token. Here the gradient is written out: what does not
depend on later tokens is computed for all tokens at once, and each weight has one product.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class GRU(nn.GRU):
    """`nn.GRU` with batch first, one direction and no dropout; the same parameters and results.

    Cho 2014, with the reset gate applied after the product, as in cuDNN:

        r = sigmoid(W_ir x + b_ir + W_hr h + b_hr)
        u = sigmoid(W_iz x + b_iz + W_hz h + b_hz)
        n = tanh(W_in x + b_in + r * (W_hn h + b_hn))
        h' = (1 - u) * n + u * h
    """

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, *, batch_first: bool = True
    ) -> None:
        super().__init__(input_size, hidden_size, num_layers=num_layers, batch_first=batch_first)

    def forward(  # type: ignore[override]
        self, input: Tensor, hx: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """States (B, T, H) of the last layer and the last state of each, (L, B, H)."""
        if not self._writes_out_gradient(input):
            return super().forward(input, hx)
        if hx is None:
            hx = input.new_zeros(self.num_layers, input.size(0), self.hidden_size)
        states, last = input.transpose(0, 1), []
        for layer, first in enumerate(hx):
            weights = [getattr(self, f"{name}_l{layer}") for name in _PARAMETERS]
            states = _GRULayer.apply(states, first, *weights)  # type: ignore[no-untyped-call]
            last.append(states[-1])
        return states.transpose(0, 1), torch.stack(last)

    def _writes_out_gradient(self, input: Tensor) -> bool:
        """True for a gradient on a CPU in one precision; nothing is gained elsewhere."""
        return (
            torch.is_grad_enabled()
            and input.device.type == "cpu"
            and not torch.is_autocast_enabled("cpu")
            and input.dim() == 3
            and input.size(1) > 0
        )


_PARAMETERS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


class _GRULayer(torch.autograd.Function):
    """One layer: inputs (T, B, I) and a first state (B, H) -> states (T, B, H)."""

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        first: Tensor,
        of_input: Tensor,
        of_state: Tensor,
        input_bias: Tensor,
        state_bias: Tensor,
    ) -> Tensor:
        T, B, _ = inputs.size()
        H = first.size(1)
        flat = inputs.reshape(T * B, -1)  # (T * B, I), a copy if the batch came first
        gate_bias = input_bias[: 2 * H] + state_bias[: 2 * H]
        gates = torch.addmm(gate_bias, flat, of_input[: 2 * H].T).view(T, B, 2 * H)  # r, u
        new = torch.addmm(input_bias[2 * H :], flat, of_input[2 * H :].T).view(T, B, H)
        gate_weight, new_weight = of_state[: 2 * H].T, of_state[2 * H :].T
        states = first.new_empty(T + 1, B, H)
        states[0] = first
        recalled = torch.empty_like(new)  # W_hn h + b_hn
        for t in range(T):
            h = states[t]
            r, u = gates[t].addmm_(h, gate_weight).sigmoid_().chunk(2, dim=1)
            torch.addmm(state_bias[2 * H :], h, new_weight, out=recalled[t])
            n = new[t].addcmul_(r, recalled[t]).tanh_()
            torch.lerp(n, h, u, out=states[t + 1])
        ctx.save_for_backward(flat, states, gates, recalled, new, of_input, of_state)
        return states[1:]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        flat, states, gates, recalled, new, of_input, of_state = ctx.saved_tensors
        (gradient,) = gradients
        T, B, H = new.size()
        r, u = gates.chunk(2, dim=2)
        # Of h' to the sums in the gates: columns n of the input, r, u, n of the state.
        slopes = new.new_empty(T, B, 4, H)
        of_n = torch.mul(1 - u, 1 - new * new, out=slopes[:, :, 0])
        torch.mul(of_n * recalled, r * (1 - r), out=slopes[:, :, 1])
        torch.mul(states[:-1] - new, u * (1 - u), out=slopes[:, :, 2])
        torch.mul(of_n, r, out=slopes[:, :, 3])
        of_first = new.new_zeros(B, H)  # of the state before the token at hand
        for t in range(T - 1, -1, -1):
            of_first += gradient[t]
            slopes[t].mul_(of_first[:, None])
            of_first.mul_(u[t]).addmm_(slopes[t, :, 1:].reshape(B, 3 * H), of_state)
        of_sums = slopes.view(T * B, 4 * H)
        by_state, by_input = of_sums[:, H:], of_sums[:, : 3 * H]
        rows = torch.arange(3 * H, device=new.device).roll(H)  # n, r, u in place of r, u, n
        biases = of_sums.sum(0)
        return (
            (by_input @ of_input[rows]).view(T, B, -1),
            of_first,
            (by_input.T @ flat).roll(-H, 0),
            by_state.T @ states[:-1].reshape(T * B, H),
            biases[: 3 * H].roll(-H, 0),
            biases[H:],
        )
