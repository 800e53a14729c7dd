"""The table of vector files in docs/file-formats.md, compared with files of `textvae embed`."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import parquet
from safetensors import safe_open

from textvae.export import formats as vectors

PAGE = Path(__file__).parents[2] / "docs" / "file-formats.md"
N, D, B = 24, 4, 1  # rows, dimensions, and bytes of their bits
LETTERS = {N: "N", D: "D", B: "B"}
MODES = ([], ["--quantize", "int8"], ["--quantize", "binary"])


def described() -> dict[tuple[str, int], dict[str, str]]:
    """(format, position in MODES) -> name -> content; a name without content is left out."""
    lines = PAGE.read_text(encoding="utf-8").split("| Format | Name |", 1)[1].splitlines()[2:]
    table: dict[tuple[str, int], dict[str, str]] = {}
    for line in lines:
        if not line.startswith("|"):
            break
        formats, names, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        for suffix in formats.replace("`", "").split(", "):
            for mode, cell in enumerate(cells):
                entries = table.setdefault((suffix, mode), {})
                for name in names.replace("`", "").split(", "):
                    if cell:
                        entries[name] = cell
    return table


def array(value: np.ndarray) -> str:
    kind = "str" if value.dtype.kind == "U" else value.dtype.name
    letters = [LETTERS[size] for size in value.shape]
    return f"{kind} ({', '.join(letters)}{',' * (len(letters) == 1)})"


def found(path: Path) -> dict[str, str]:
    """Name -> content of a file under that name, in the words of the table."""
    match path.suffix:
        case ".npy":
            return {"the array": array(np.load(path))}
        case ".npz":
            with np.load(path, allow_pickle=False) as file:
                return {name: array(file[name]) for name in file.files}
        case ".safetensors":
            with safe_open(path, "numpy") as file:
                return {name: array(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118
        case ".parquet":
            schema = parquet.read_schema(path)
            return {
                field.name: f"{LETTERS[field.type.list_size]} of {field.type.value_type}".replace(
                    "float", "float32"
                )
                if field.name in ("vector", "variance")
                else str(field.type)
                for field in schema
            }
        case ".csv":
            with path.open(newline="", encoding="utf-8") as file:
                names = next(csv.reader(file))
            groups = [(f"{letter}0 ...", [n for n in names if n[1:].isdigit() and n[0] == letter])
                      for letter in "zbv"]  # fmt: skip
            of_numbers = {name: f"{LETTERS[len(own)]} columns" for name, own in groups if own}
            return {n: "a column" for n in names if not n[1:].isdigit()} | of_numbers
        case _:
            record: dict[str, Any] = json.loads(path.read_text().splitlines()[1])
            return {
                name: f"{LETTERS[len(value)]} numbers"
                if isinstance(value, list)
                else {int: "number", str: "string"}[type(value)]
                for name, value in record.items()
            }


@pytest.mark.parametrize("suffix", vectors.WRITERS)
@pytest.mark.parametrize("mode", range(len(MODES)))
def test_vector_files_have_the_documented_content(
    textvae, tiny_vae: Path, sentences: list[str], tmp_path: Path, suffix: str, mode: int
) -> None:
    rows = [{"text": text, "label": "ab"[i % 2]} for i, text in enumerate(sentences[:N])]
    file, out = tmp_path / "reviews.jsonl", tmp_path / f"v{suffix}"
    file.write_text("\n".join(map(json.dumps, rows)))
    options = [*MODES[mode], *(["--with-variance"] if suffix != ".npy" else [])]
    ran = textvae("embed", tiny_vae, file, "--out", out, *options)
    expected = described()[suffix, mode]
    assert ran.code == (0 if expected else 2)
    if expected:
        assert found(out) == expected
