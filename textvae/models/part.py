"""A part of a model: what an optimizer moves of it, and what a file holds of it."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn


class Part(nn.Module):
    """An encoder, a posterior, a prior or a decoder.

    By default the optimizer moves every parameter and the file holds every tensor. A part with
    frozen or shared weights overrides `trained` and `saved`.
    """

    def trained(self) -> Iterator[tuple[str, nn.Parameter]]:
        """The parameters that training moves, each once, by name."""
        return self.named_parameters()

    def saved(self) -> dict[str, Tensor]:
        """The tensors that a model's file holds, by name; those that `finish_loading` restores
        are left out."""
        return self.state_dict()

    def finish_loading(self, device: torch.device | str) -> None:
        """Restore what the file leaves out, after the saved tensors were assigned."""
        for _, parameter in self.trained():
            parameter.requires_grad_(True)
        for module in self.modules():
            if isinstance(module, nn.RNNBase):
                module.flatten_parameters()  # one block of memory, as cuDNN wants it
