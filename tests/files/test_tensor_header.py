"""Untrusted sizes and weights: checked before memory is allocated for them."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from running import ONE_LINE_ERROR
from safetensors.torch import load_file, save_file
from tampering import BIAS, edit_json

from textvae.api import TextVAE
from textvae.errors import ModelFormatError
from textvae.saving.folder import load_model


@pytest.mark.parametrize("value", [True, "8", 8.0, [8]])
@pytest.mark.parametrize("key", ["latent_size", "layers", "max_tokens", "pad_id", "format_version"])
def test_only_a_number_is_a_size(folder: Path, key: str, value: Any) -> None:
    path = folder / "config.json"
    tables = {"latent_size": "architecture", "layers": "architecture"}
    tables |= {"max_tokens": "encoder", "pad_id": "decoder"}
    if key in tables:
        table = json.loads(path.read_text())[tables[key]]
        edit_json(path, **{tables[key]: table | {key: value}})
    else:
        edit_json(path, **{key: value})
    with pytest.raises(ModelFormatError) as caught:
        load_model(folder)
    assert "\n" not in str(caught.value)


def header_of(path: Path) -> tuple[dict[str, Any], bytes]:
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def write_header(path: Path, header: str, data: bytes) -> None:
    path.write_bytes(struct.pack("<Q", len(header.encode())) + header.encode() + data)


def test_a_header_that_claims_too_much_is_refused_before_anything_is_read(folder: Path) -> None:
    path = folder / "model.safetensors"
    header, data = header_of(path)
    claims = [
        {"shape": [10**12]},
        {"shape": [2**62, 2**62]},
        {"shape": [-1]},
        {"shape": [True]},
        {"shape": [1] * 100},
        {"shape": ["10"]},
        {"shape": 10},
        {"data_offsets": [0, 40]},  # over another tensor's
        {"data_offsets": [40, 0]},
        {"data_offsets": [0, 2**63]},
        {"dtype": "I32"},
        {"dtype": "F16"},
        {"dtype": "C64"},
        {"dtype": "pickle"},
        {"dtype": None},
    ]
    for claim in claims:
        write_header(path, json.dumps(header | {BIAS: header[BIAS] | claim}), data)
        with pytest.raises(ModelFormatError, match=r"model\.safetensors"):
            load_model(folder)
    write_header(path, json.dumps(header), data)
    load_model(folder)


def test_two_tensors_of_one_name_are_refused(folder: Path) -> None:
    """safetensors takes the second, and other readers the first."""
    path = folder / "model.safetensors"
    header, data = header_of(path)
    double = json.dumps({BIAS: header[BIAS]})[:-1] + ", " + json.dumps(header)[1:]
    write_header(path, double, data)
    load_file(path)
    with pytest.raises(ModelFormatError, match=rf"duplicate name '{BIAS}'"):
        load_model(folder)


def test_a_type_of_numbers_that_is_none_is_not_quoted_at_length(folder: Path) -> None:
    path = folder / "model.safetensors"
    header, data = header_of(path)
    long = {"dtype": "x" * 100_000}
    write_header(path, json.dumps(header | {BIAS: header[BIAS] | long}), data)
    with pytest.raises(ModelFormatError) as caught:
        load_model(folder)
    assert len(str(caught.value)) < 1000


def test_a_name_that_is_too_long_for_a_file_is_not_found(textvae: Any) -> None:
    ran = textvae("info", "x" * 5000)
    assert ran.code == 3
    assert ONE_LINE_ERROR.fullmatch(ran.err)


@pytest.mark.parametrize("length", [2**64 - 1, 2**40, 100_000_000])
def test_a_huge_header_is_not_read(folder: Path, length: int) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(struct.pack("<Q", length) + path.read_bytes()[8:])
    with path.open("r+b") as file:
        file.truncate(200_000_000)
    with pytest.raises(ModelFormatError, match="the header exceeds"):
        load_model(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300])
def test_weights_that_are_not_finite_are_refused(folder: Path, value: float) -> None:
    path = folder / "model.safetensors"
    weights = load_file(path)
    weights[BIAS] = weights[BIAS].double()
    weights[BIAS][3] = value
    save_file(weights, path)
    with pytest.raises(ModelFormatError, match=f"{BIAS} has values that are not finite"):
        load_model(folder)


def test_weights_that_lead_to_infinity_are_an_error_and_no_index_out_of_bounds(
    folder: Path,
) -> None:
    path = folder / "model.safetensors"
    weights = load_file(path)
    state = torch.tensor(TextVAE.from_pretrained(folder).encode(["the cat"], layer="encoder"))
    weights["posterior.head.weight"] = 3e38 * state.sign().expand(4, 8).contiguous()
    for name in ("posterior.head.bias", "decoder.narrow.weight", "decoder.embedding.weight"):
        weights[name] = torch.full_like(weights[name], 3e38)
    save_file(weights, path)
    model = TextVAE.from_pretrained(folder)
    for call in (
        lambda: model.generate(2),
        lambda: model.generate(2, greedy=True),
        lambda: model.generate(2, beams=2),
        lambda: model.generate(2, top_p=0.5),
        lambda: model.encode(["the cat"]),
        lambda: model.reconstruct(["the cat"]),
    ):
        with pytest.raises(ModelFormatError, match="not finite"):
            call()
