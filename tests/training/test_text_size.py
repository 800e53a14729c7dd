"""A text that is too small is told before a training and at its end."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_runs import TEXTS, Heard, tiny_config

from textvae.config import Config, ModelConfig
from textvae.errors import for_command_line
from textvae.training.state import TrainingState
from textvae.training.text_size import FEW_SENTENCES, few_sentences, overfitting
from textvae.training.train import train_model


def test_few_sentences_are_told_with_a_recipe_for_them() -> None:
    assert few_sentences(FEW_SENTENCES, ModelConfig()) is None
    said = few_sentences(1_999, ModelConfig())
    assert said is not None
    assert "only 1,999 sentences" in said
    assert "recipe='few'" in said
    with for_command_line():
        assert "--recipe few" in str(few_sentences(1, ModelConfig()))
    few = Config.resolve(recipe="few").model  # has what the recipe would bring
    assert str(few_sentences(1, few)).endswith("5,000 sentences or more are better")


@pytest.mark.parametrize(("since_best", "told"), [(0, False), (2, False), (3, True), (8, True)])
def test_a_best_model_from_long_before_the_end_is_told(since_best: int, told: bool) -> None:
    state = TrainingState(step=1_000, best_step=200, since_best=since_best, best=3.0)
    said = overfitting(state, ModelConfig())
    assert (said is not None) == told
    if told:
        assert "best at step 200 of 1,000" in said
        assert "recipe='few'" in said
        assert "few" not in str(overfitting(state, Config.resolve(recipe="few").model))


def test_a_training_that_learns_its_text_by_heart_says_so(tmp_path: Path) -> None:
    heard = Heard()
    texts = [f"{text} {n}" for n, text in enumerate(TEXTS[:16])]
    wide = {"hidden_size": 64, "embedding_size": 64, "learning_rate": 0.03}
    config = tiny_config(max_steps=300, eval_steps=30, valid_fraction=0.3, **wide)
    train_model(config, tmp_path / "run", texts=texts, reporter=heard)
    assert any("for training; expect" in warning for warning in heard.warnings)
    assert any("the model overfits: validation was best" in warning for warning in heard.warnings)
