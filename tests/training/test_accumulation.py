"""A batch computed in parts gives the step of the whole batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import NOISE, TEXTS, last_checkpoint, records, tiny_config

from textvae.config import Config
from textvae.errors import ConfigError
from textvae.training.train import train_model


@pytest.mark.parametrize(
    "method",
    [
        {"free_bits": 0.3, "free_bits_mode": "batch", **NOISE},
        {"free_bits": 0.3, "free_bits_mode": "dimension", "committed_rate": 0.5},
        {"bag_of_words_weight": 0.5, "adversarial_weight": 1.0, "target_kl": 3.0},
        {"importance_samples": 2, "free_bits": 0.0},
        {"model": "ae", "free_bits": 0.0},
        {"model": "lm", "free_bits": 0.0},
    ],
    ids=["batch", "dimension", "terms", "importance", "ae", "lm"],
)
def test_steps_in_parts_are_those_of_the_whole_batch(
    tmp_path: Path, method: dict[str, Any]
) -> None:
    """Parts of 3, 3 and 2 sentences, whose lengths differ, so that each has other tokens to sum."""
    for name, parts in (("whole", 1), ("parts", 3)):
        config = tiny_config(**method, max_steps=4, accumulate=parts)
        train_model(config, tmp_path / name, texts=TEXTS)
    whole, parts_ = records(tmp_path / "whole"), records(tmp_path / "parts")
    for expected, found in zip(whole, parts_, strict=True):
        for key in expected.keys() & {"loss", "rec", "kl", "gradient_norm", "bag_of_words"}:
            assert found[key] == pytest.approx(expected[key], rel=1e-4), key
    expected_weights = last_checkpoint(tmp_path / "whole")
    for key, value in last_checkpoint(tmp_path / "parts").items():
        if key.endswith("/exp_avg"):  # the first moments: sums of the gradients
            torch.testing.assert_close(value, expected_weights[key], rtol=1e-3, atol=1e-4)


def test_terms_that_compare_sentences_need_the_whole_batch() -> None:
    for options in (
        {"mmd_weight": 1.0},
        {"contrastive_weight": 1.0, "noise_drop": 0.1},
        {"posterior_batch_norm": 0.7},
    ):
        with pytest.raises(ConfigError, match="compares all sentences of a batch"):
            Config.resolve(options={"accumulate": 2, **options})


def test_only_layers_of_pretrained_parts_are_recomputed() -> None:
    with pytest.raises(ConfigError, match="pretrained parts only"):
        Config.resolve(options={"gradient_checkpointing": True})
    decoder = {"decoder": "owner/name", "gradient_checkpointing": True}
    with pytest.raises(ConfigError, match="latent_injection = cache"):
        Config.resolve(options={**decoder, "latent_injection": "cache"})
    assert Config.resolve(options=decoder).training.gradient_checkpointing
