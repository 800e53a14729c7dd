"""What a sentence-transformers folder does after its network: pooling, dense layers, length 1."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from textvae.errors import ModelFormatError, shown
from textvae.files.names import CONFIG_FILE
from textvae.files.untrusted import inside, parse_json, read_text, reason
from textvae.models.pretrained.reference import (
    MODULE_FOLDER,
    MODULES_FILE,
    MOST_MODULES,
    Reference,
)

NETWORKS = ("Transformer", "StaticEmbedding")  # the first module
# Names in older files, in the order in which several poolings are put side by side.
_OLDER = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}


class StatesPooling(nn.Module):
    """States (B, T, H) -> one vector for each sentence, by one or several poolings side by side."""

    def __init__(self, modes: list[str]) -> None:
        super().__init__()
        self.modes = modes

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """Vectors (B, H * poolings); the mask (B, T) is True at tokens."""
        return torch.cat([_pooled(states, mask, mode) for mode in self.modes], dim=-1)


def _pooled(states: Tensor, mask: Tensor, mode: str) -> Tensor:
    there = mask[:, :, None]  # (B, T, 1)
    lengths = mask.sum(1)  # (B,)
    if mode == "cls":
        return states[:, 0]
    if mode == "lasttoken":
        return states[torch.arange(len(states), device=states.device), lengths.clamp(min=1) - 1]
    if mode == "max":
        return states.masked_fill(~there, float("-inf")).amax(1)
    weights = there.to(states.dtype)
    if mode == "weightedmean":
        weights = weights * torch.arange(1, states.size(1) + 1, device=states.device)[None, :, None]
    total = (states * weights).sum(1)
    share = weights.sum(1).clamp(min=1e-9)  # (B, 1)
    return total / (share.sqrt() if mode == "mean_sqrt_len_tokens" else share)


class UnitLength(nn.Module):
    """Vectors scaled to the length 1."""

    def forward(self, vectors: Tensor) -> Tensor:
        """Vectors (B, H)."""
        return nn.functional.normalize(vectors, dim=-1)


def modules_of(reference: Reference) -> list[tuple[str, Path]]:
    """(kind, folder) of each module of a modules.json after the network; empty without the file.

    Raises:
        ModelFormatError: the file is damaged, or names a module that textvae does not know.
    """
    path = reference.file(MODULES_FILE)
    if not path.is_file():
        return []
    try:
        found = parse_json(read_text(path))
        if not isinstance(found, list) or not 1 <= len(found) <= MOST_MODULES:
            raise ValueError(f"expected a list of up to {MOST_MODULES} modules")
        named = [(str(item["type"]).rpartition(".")[2], str(item["path"])) for item in found]
        if named[0][0] not in NETWORKS or named[0][1] not in ("", ".", "./"):
            raise ValueError(
                f"the first module is {shown(named[0][0])} in {shown(named[0][1])}: expected "
                f"{' or '.join(NETWORKS)} in the folder itself"
            )
        # A module without settings, such as Normalize, has no folder.
        placed = [(kind, inside(reference.folder, place)) for kind, place in named[1:]]
        for _, folder in placed:
            if not fnmatch(folder.name, MODULE_FOLDER):  # not in the digest or in a copy
                raise ValueError(
                    f"a module in {shown(folder.name)}: expected a name such as 1_Pooling"
                )
        return placed
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelFormatError(f"{path}: not a list of modules: {reason(error)}") from None


def pooling_modes(folder: Path) -> list[str]:
    """The poolings of a Pooling module, by the names of sentence-transformers.

    Raises:
        ModelFormatError: its config.json is damaged or names an unknown pooling.
    """
    path = folder / CONFIG_FILE
    settings = _settings(path)
    given = settings.get("pooling_mode")
    if given is None:
        modes = [mode for name, mode in _OLDER.items() if settings.get(name)] or ["mean"]
    else:
        modes = [given] if isinstance(given, str) else given
    if not isinstance(modes, list) or not modes or any(m not in _OLDER.values() for m in modes):
        raise ModelFormatError(
            f"{path}: pooling_mode {shown(given)}: expected {', '.join(_OLDER.values())}"
        )
    return modes


def dense_layer(folder: Path, width: int) -> tuple[nn.Sequential, int]:
    """The Dense module in a folder, a linear layer and its activation, and its width.

    Raises:
        ModelFormatError: it is damaged, does not fit vectors of `width`, or has an activation or
            an option that textvae does not know.
    """
    settings = _settings(folder / CONFIG_FILE)
    name = str(settings.get("activation_function", "Tanh")).rpartition(".")[2]
    activations: dict[str, type[nn.Module]] = {"Tanh": nn.Tanh, "Identity": nn.Identity}
    if name not in activations or settings.get("use_residual"):
        raise ModelFormatError(
            f"{folder / CONFIG_FILE}: a Dense module with activation {shown(name)}; textvae knows "
            f"{' and '.join(activations)}, without a residual"
        )
    path = folder / "model.safetensors"
    try:
        tensors = load_file(inside(folder, path.name))
        weight, bias = tensors["linear.weight"].float(), tensors.get("linear.bias")
        if weight.dim() != 2 or weight.size(1) != width:
            raise ValueError(f"expected a matrix with {width} columns, got {list(weight.shape)}")
        layer = nn.Linear(width, len(weight), bias=bias is not None)
        layer.weight = nn.Parameter(weight)
        if bias is not None:
            layer.bias = nn.Parameter(bias.float().reshape(len(weight)))
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ModelFormatError(f"{path}: damaged weights: {reason(error)}") from None
    return nn.Sequential(layer, activations[name]()), len(weight)


def _settings(path: Path) -> dict[str, Any]:
    try:
        found = parse_json(read_text(inside(path.parent, path.name)))
        if not isinstance(found, dict):
            raise ValueError("expected an object")
        return found
    except (OSError, ValueError) as error:
        raise ModelFormatError(f"{path}: not the settings of a module: {error}") from None
