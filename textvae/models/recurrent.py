"""GRU and LSTM: an encoder's states, and a decoder that sees z at every step."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from textvae.config import ModelConfig
from textvae.data.batches import Tokens
from textvae.models.gru import GRU
from textvae.models.state import TensorState

CELLS: dict[str, type[nn.GRU] | type[nn.LSTM]] = {"gru": GRU, "lstm": nn.LSTM}


UPDATE_BIAS = 1.0


def remembering(rnn: nn.RNNBase) -> nn.RNNBase:
    """`rnn`, new; a GRU begins to learn with states that change slowly.

    The bias of the update gate is raised by 1, so that a new GRU keeps 73 % of its state at each
    token, as the forget gate does in an LSTM (Gers 2000, Jozefowicz 2015).
    """
    if isinstance(rnn, nn.GRU):
        with torch.no_grad():
            for name, bias in rnn.named_parameters():
                if name.startswith("bias_ih"):
                    bias[rnn.hidden_size : 2 * rnn.hidden_size] += UPDATE_BIAS
    return rnn


def reverse_padded(x: Tensor, lengths: Tensor) -> Tensor:
    """(B, T, H) with the first `lengths` steps of each row in reverse, padding left in place."""
    steps = torch.arange(x.size(1), device=x.device)
    source = torch.where(steps < lengths[:, None], lengths[:, None] - 1 - steps, steps)  # (B, T)
    return x.gather(1, source[:, :, None].expand_as(x))


class RecurrentEncoder(nn.Module):
    """States of a sentence, (B, T, H); bidirectional: (B, T, 2H).

    The backward network reads reversed rows instead of packed sequences: the result is the same,
    and the device never waits for lengths from the host.
    """

    def __init__(self, config: ModelConfig, max_positions: int = 0) -> None:
        super().__init__()
        cell = CELLS[config.encoder]
        directions = 2 if config.bidirectional else 1
        widths = [config.embedding_size] + [directions * config.hidden_size] * (config.layers - 1)
        self.forwards = nn.ModuleList(
            remembering(cell(width, config.hidden_size, batch_first=True)) for width in widths
        )
        self.backwards = nn.ModuleList(
            remembering(cell(width, config.hidden_size, batch_first=True))
            for width in (widths if config.bidirectional else [])
        )
        self.output_size = directions * config.hidden_size
        self.backward_size = (directions - 1) * config.hidden_size

    def forward(self, embedded: Tensor, tokens: Tokens) -> Tensor:
        """States (B, T, output_size) of embedded tokens (B, T, E)."""
        states = embedded
        for layer, forwards in enumerate(self.forwards):
            ahead = forwards(states)[0]
            if self.backwards:
                behind = self.backwards[layer](reverse_padded(states, tokens.lengths))[0]
                ahead = torch.cat([ahead, reverse_padded(behind, tokens.lengths)], dim=-1)
            states = ahead
        return states


class RecurrentDecoder(nn.Module):
    """Next-token states from the previous tokens and z.

    z sets the first state (Bowman 2016) and is appended to each input (He 2019).
    """

    def __init__(self, config: ModelConfig, latent_size: int, max_positions: int = 0) -> None:
        super().__init__()
        self.layers = config.layers
        self.hidden_size = config.hidden_size
        self.rnn = remembering(
            CELLS[config.decoder](
                config.embedding_size + latent_size,
                config.hidden_size,
                num_layers=config.layers,
                batch_first=True,
            )
        )
        self.has_cell = config.decoder == "lstm"
        states = config.layers * config.hidden_size * (2 if self.has_cell else 1)
        self.first_state: nn.Linear | None = None
        if latent_size:
            self.first_state = nn.Linear(latent_size, states)
        self.output_size = config.hidden_size

    def forward(self, embedded: Tensor, z: Tensor | None) -> Tensor:
        """States (B, T, H) that predict tokens, teacher-forced on embedded inputs (B, T, E)."""
        state = self.start(z, embedded.size(0))
        return self._advance(embedded, state)[0]

    def start(self, z: Tensor | None, n: int) -> TensorState:
        """The state of `n` sentences before their first token."""
        count = 2 if self.has_cell else 1
        if self.first_state is None or z is None:
            weight = next(self.rnn.parameters())
            zeros = weight.new_zeros(n, self.layers, self.hidden_size)
            return TensorState((zeros,) * count)
        flat = torch.tanh(self.first_state(z))  # (N, count * L * H)
        parts = flat.view(n, count, self.layers, self.hidden_size).unbind(1)
        return TensorState((*parts, z))

    def step(self, embedded: Tensor, state: TensorState) -> tuple[Tensor, TensorState]:
        """Output (N, H) that predicts the token after `embedded` (N, E), and the next state."""
        output, state = self._advance(embedded[:, None], state)
        return output[:, 0], state

    def _advance(self, embedded: Tensor, state: TensorState) -> tuple[Tensor, TensorState]:
        memory = 2 if self.has_cell else 1
        hidden, latent = state.tensors[:memory], state.tensors[memory:]
        if latent:
            z = latent[0][:, None].expand(-1, embedded.size(1), -1).to(embedded.dtype)
            embedded = torch.cat([embedded, z], dim=-1)  # (B, T, E + Z)
        stacked = tuple(part.transpose(0, 1).contiguous() for part in hidden)  # (L, N, H)
        output, last = self.rnn(embedded, stacked if self.has_cell else stacked[0])
        last = last if self.has_cell else (last,)
        return output, TensorState((*(part.transpose(0, 1) for part in last), *latent))
