"""A part of a model: its trained parameters, and its tensors in the model file."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn


class Part(nn.Module):
    """An encoder, a posterior, a prior or a decoder.

    By default every parameter is trained and every tensor is saved. A part with frozen or shared
    weights overrides `trained` and `saved`.
    """

    def trained(self) -> Iterator[tuple[str, nn.Parameter]]:
        """The parameters to train, each once, by name."""
        return self.named_parameters()

    def pretrained(self) -> Iterator[nn.Parameter]:
        """Those of `trained` that start from a pretrained model, and so learn more slowly."""
        return iter(())

    def saved(self) -> dict[str, Tensor]:
        """The tensors to save, by name, without those that `finish_loading` restores."""
        return self.state_dict()

    def recompute_layers(self) -> None:
        """Save memory in training: the backward pass recomputes the layers, where a part can."""

    def finish_loading(self, device: torch.device | str) -> None:
        """Restore the tensors that are not saved, after the saved tensors were assigned."""
        for _, parameter in self.trained():
            parameter.requires_grad_(True)
        for module in self.modules():
            if isinstance(module, nn.RNNBase):
                module.flatten_parameters()  # cuDNN needs one block of memory
