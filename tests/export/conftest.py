"""The command and the input that the tests of vector files share."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
from vector_files import BLOCK

from textvae.export import parts


@pytest.fixture
def embeds(textvae, monkeypatch: pytest.MonkeyPatch):
    """Run `textvae embed ARGUMENTS` in this process, a few rows a part."""
    monkeypatch.setattr(parts, "PART", BLOCK)
    return partial(textvae, "embed")


@pytest.fixture
def reviews(tmp_path: Path, sentences: list[str]) -> Path:
    """A file of 24 sentences, two of them odd, with labels for some."""
    path = tmp_path / "reviews.jsonl"
    texts = [*sentences[:21], "", 'naïve "日本", quoted', "the cook " * 20]
    rows = [{"text": text, "label": "ab"[i % 2] if i % 3 else ""} for i, text in enumerate(texts)]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    return path
