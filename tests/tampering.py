"""What tests of untrusted folders share: the files of a model folder, and changes to them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FILES = ("config.json", "model.safetensors", "tokenizer.json")
BIAS = "decoder.output.bias"  # a tensor of every model


def edit_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
