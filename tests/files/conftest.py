"""A saved model, and a copy to tamper with."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from random_models import random_word_model, word_tokenizer

from textvae.config import Config, DataConfig
from textvae.saving.folder import save_model


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    save_model(folder, random_word_model(), word_tokenizer(), DataConfig(max_tokens=8))
    (folder / "experiment.toml").write_text(Config().to_toml())
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy to tamper with."""
    return shutil.copytree(saved, tmp_path / "model")
