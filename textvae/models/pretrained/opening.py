"""The network of a pretrained model, built by transformers from files that nobody vouches for.

Only the architectures that transformers itself defines are built. The configuration is read as
plain data, its sizes are compared with the weights before any memory is allocated, and the weights
come from safetensors alone. No code of the model runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from textvae.errors import ModelFormatError, shown
from textvae.files.names import CONFIG_FILE
from textvae.files.tensor_header import read_header
from textvae.files.untrusted import parse_json, read_text, reason, shown_name
from textvae.models.pretrained.reference import Reference

# Keys that would load code, kernels, adapters or quantized weights from elsewhere.
_DROPPED = ("auto_map", "attn_implementation", "_attn_implementation", "experts_implementation")
_DEEPEST = 1024  # layers, blocks, heads or experts
_WIDEST = 1 << 24  # any other size
_COUNTED = ("layer", "block", "head", "expert")
_SIZED = ("size", "dim", "hidden", "embd", "position", "vocab", "inner", "n_ctx")
# Of loading weights; ArithmeticError and TypeError for settings that no network can have.
_FAILURES = (
    OSError, ValueError, RuntimeError, KeyError, ArithmeticError, TypeError, SafetensorError,
)  # fmt: skip
_NEVER_NEGATIVE = ("num_", "n_", "vocab_size", "hidden_size", "intermediate_size")
_HEADS = re.compile(r"(num|n)_.*heads?$")
MOST_CLAIMED = 2  # times the numbers in the files, for weights that two layers share


def read_settings(reference: Reference) -> dict[str, Any]:
    """The config.json of a pretrained model, as plain data.

    Raises:
        ModelFormatError: the file is no JSON object, or a size is out of range.
    """
    path = reference.file(CONFIG_FILE)
    try:
        found = parse_json(read_text(path))
        if not isinstance(found, dict):
            raise ValueError("expected an object")
        _check_sizes(found)
    except (OSError, ValueError) as error:
        raise ModelFormatError(f"{path}: {error}") from None
    if "quantization_config" in found:
        raise ModelFormatError(
            f"{path}: the weights are quantized; name a model in float32, bfloat16 or float16"
        )
    if (reference.folder / "adapter_config.json").exists():
        raise ModelFormatError(
            f"{reference.folder}: an adapter, not a whole model; merge the adapter into its base "
            "model and save both together"
        )
    return {key: value for key, value in found.items() if key not in _DROPPED}


def _check_sizes(found: dict[str, Any]) -> None:
    """Raise ValueError if a number of layers or a width is not that of any real model."""
    for name, value in found.items():
        if isinstance(value, dict):
            _check_sizes(value)
        if type(value) is not int:
            continue
        least = 1 if _HEADS.match(name) else 0
        if value < least and name.startswith(_NEVER_NEGATIVE):
            raise ValueError(f"{shown_name(name)} is {value:,}: expected {least} or more")
        most = _DEEPEST if any(word in name for word in _COUNTED) else _WIDEST
        if value > most and any(word in name for word in (*_COUNTED, *_SIZED)):
            raise ValueError(f"{shown_name(name)} is {value:,}: expected at most {most:,}")


def stored_numbers(paths: list[Path]) -> int:
    """How many numbers the tensors of safetensors files hold, by their headers.

    Raises:
        ModelFormatError: a header is damaged, or claims more than its file holds.
    """
    total = 0
    for path in paths:
        try:
            numbers = sum(prod(facts.shape) for facts in read_header(path).values())
        except (OSError, ValueError) as error:
            raise ModelFormatError(f"{path}: damaged weights: {reason(error)}") from None
        if numbers > path.stat().st_size:  # a number takes a byte or more
            raise ModelFormatError(f"{path}: the header claims more than the file holds")
        total += numbers
    return total


def open_network(reference: Reference, kind: type[Any]) -> nn.Module:
    """The network of a pretrained model, with its weights, on the CPU, in float32.

    Dropout and other behaviours of training are off, and no parameter asks for a gradient.

    Args:
        kind: `AutoModel`, `AutoModelForCausalLM`, ... of transformers.

    Raises:
        ModelFormatError: transformers does not know the architecture, the configuration does not
            fit the weights, or the weights are incomplete.
    """
    settings = read_settings(reference)
    config = _configuration(reference, settings)
    with _quiet(), torch.device("cpu"):
        attention = _check_claim(reference, kind, config)
        try:
            network, found = kind.from_pretrained(
                str(reference.folder),
                config=config,
                dtype=torch.float32,
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                attn_implementation=attention,
                ignore_mismatched_sizes=True,  # told below, with the sizes
                output_loading_info=True,
            )
        except _FAILURES as error:
            raise ModelFormatError(
                f"{reference.folder}: transformers cannot load the weights: {reason(error)}"
            ) from None
    for name, stored, described in sorted(found["mismatched_keys"], key=str):
        raise ModelFormatError(
            f"{reference.folder}: the size of {shown_name(str(name))} is {list(stored)} in the "
            f"weights, but {CONFIG_FILE} describes {list(described)}"
        )
    missing = [name for name in found["missing_keys"] if not _is_unused(name)]
    if missing:
        raise ModelFormatError(
            f"{reference.folder}: the weights lack {shown_name(sorted(missing)[0])}"
            + (f" and {len(missing) - 1:,} more" if len(missing) > 1 else "")
        )
    for name, parameter in network.named_parameters():
        if not bool(parameter.isfinite().all()):
            raise ModelFormatError(
                f"{reference.folder}: {shown_name(name)} has numbers that are not finite"
            )
    return network.eval().requires_grad_(False)  # type: ignore[no-any-return]


def _configuration(reference: Reference, settings: dict[str, Any]) -> Any:
    """The settings as transformers knows them."""
    from transformers import CONFIG_MAPPING

    name = settings.get("model_type")
    if not isinstance(name, str) or name not in CONFIG_MAPPING:
        raise ModelFormatError(
            f"{reference.file(CONFIG_FILE)}: model_type {shown(name)} is not an architecture that "
            "the installed transformers knows"
        )
    try:
        with _quiet():
            return CONFIG_MAPPING[name].from_dict(settings)
    except Exception as error:  # its validators raise errors of many types
        raise ModelFormatError(
            f"{reference.file(CONFIG_FILE)}: not a configuration of {name}: "
            f"{_told(error, settings)}"
        ) from None


def _check_claim(reference: Reference, kind: type[Any], config: Any) -> str:
    """The name of the attention to use; builds the network without memory to count its numbers.

    Raises:
        ModelFormatError: the configuration claims far more numbers than the files hold.
    """
    stored = stored_numbers(reference.weight_files())
    problem: Exception | None = None
    for attention in ("sdpa", "eager"):
        try:
            with torch.device("meta"):
                empty = kind.from_config(
                    config, attn_implementation=attention, trust_remote_code=False
                )
        except Exception as error:  # of any type, for settings that contradict each other
            problem = error
            continue
        claimed = sum(parameter.numel() for parameter in empty.parameters())
        if claimed > MOST_CLAIMED * stored:
            raise ModelFormatError(
                f"{reference.folder}: {CONFIG_FILE} describes {claimed:,} numbers, but the weights "
                f"hold {stored:,}"
            )
        return attention
    raise ModelFormatError(
        f"{reference.folder}: transformers cannot build the network: "
        f"{_told(problem or ValueError('unknown'), config.to_dict())}"
    )


def _told(error: Exception, settings: Mapping[str, Any]) -> str:
    """What an error of transformers says; of a value that is in no table, the name, too."""
    value = error.args[0] if isinstance(error, KeyError) and error.args else None
    names = [name for name, given in _flat(settings) if isinstance(given, str) and given == value]
    return f"{shown_name(names[0])} {shown(value)} is unknown" if names else reason(error)


def _flat(settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """(name, value) of all settings, also of those inside others."""
    for name, value in settings.items():
        yield str(name), value
        if isinstance(value, Mapping):
            yield from _flat(value)


def _is_unused(name: str) -> bool:
    """True for tensors that a sentence encoder or a language model never reads."""
    return name.startswith("pooler.") or name.endswith("position_ids")


@contextmanager
def _quiet() -> Iterator[None]:
    """A block in which transformers shows no progress bar and no warning."""
    from transformers.utils import logging as untyped

    logging: Any = untyped
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
