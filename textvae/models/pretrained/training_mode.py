"""How pretrained weights are trained: not at all, all of them, or by LoRA adapters beside them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, Literal

from torch import Tensor, nn

from textvae.errors import ConfigError, UsageError

TrainingMode = Literal["frozen", "full", "lora"]
ADAPTER = "lora_"  # in the names of adapter tensors


def prepare_training(network: nn.Module, mode: TrainingMode, rank: int) -> None:
    """Freeze the weights of `network`, release them, or add LoRA adapters, in place.

    LoRA: Hu 2022, eq. 3, on all linear layers except the output layer, with alpha = 2 * rank and
    without dropout. New adapters leave the outputs as they are, because their second matrix is
    zero. Dropout inside the network is switched off: its noise would not come from the seed of the
    step.

    Raises:
        UsageError: LoRA is asked for, but the package peft is missing.
        ConfigError: LoRA is asked for, but the network has no linear layer.
    """
    network.requires_grad_(mode == "full")
    remove_dropout(network)
    if mode != "lora":
        return
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError:
        raise UsageError(
            "LoRA needs the package peft; install it with `pip install 'textvae[pretrained]'`"
        ) from None
    output_layer: Any = getattr(network, "get_output_embeddings", lambda: None)
    output = output_layer()
    linear = [
        name
        for name, module in network.named_modules()
        if _is_linear(module) and module is not output
    ]
    if not linear:
        raise ConfigError("LoRA needs a network with linear layers; choose frozen or full training")
    settings = LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules=linear)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of transposed layers, which peft recognizes itself
        inject_adapter_in_model(settings, network)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(ADAPTER in name)


def remove_dropout(network: nn.Module) -> None:
    """Set every dropout rate in a network to 0."""
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        for name, value in [*vars(module).items()]:
            if "dropout" in name and isinstance(value, float):
                setattr(module, name, 0.0)


def recompute_layers(network: Any) -> None:
    """Let the layers of a network in training mode recompute their states in the backward pass.

    Gradient checkpointing, Chen 2016.
    """
    # transformers 5.20 renamed the method.
    enable = getattr(network, "activation_checkpointing_enable", None)
    (enable or network.gradient_checkpointing_enable)({"use_reentrant": False})
    network.disable_input_require_grads()  # only the other, older kind needs it


def _is_linear(module: nn.Module) -> bool:
    # GPT-2's own linear layer is transposed; it has this name.
    return isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D"


def changes(name: str, network: str, mode: TrainingMode) -> bool:
    """True if training changes the tensor `name` of a part.

    Args:
        network: the attribute of the part that holds the pretrained network.
    """
    pretrained = name.startswith(f"{network}.")
    return not pretrained or mode == "full" or (mode == "lora" and ADAPTER in name)


def trained_parameters(
    part: nn.Module, network: str, mode: TrainingMode
) -> Iterator[tuple[str, nn.Parameter]]:
    """The parameters of a part that are trained, by name; see `changes`."""
    return ((name, p) for name, p in part.named_parameters() if changes(name, network, mode))


def pretrained_parameters(
    part: nn.Module, network: str, mode: TrainingMode
) -> Iterator[nn.Parameter]:
    """The trained parameters inside the pretrained network, adapters included."""
    trained = trained_parameters(part, network, mode)
    return (parameter for name, parameter in trained if name.startswith(f"{network}."))


def saved_tensors(part: nn.Module, network: str, mode: TrainingMode) -> dict[str, Tensor]:
    """The tensors of a part that its REF does not hold, by name, each once; see `changes`."""
    tensors: dict[str, Tensor] = {}
    there: set[int] = set()  # a layer may share the weights of another
    for name, value in part.state_dict(keep_vars=True).items():
        if changes(name, network, mode) and id(value) not in there:
            there.add(id(value))
            tensors[name] = value.detach()
    return tensors
