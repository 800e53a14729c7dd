"""Warnings about a text that is too small: before a training, and at its end."""

from __future__ import annotations

from textvae.config import ModelConfig
from textvae.errors import option, worded
from textvae.number_format import counted
from textvae.training.state import TrainingState

FEW_SENTENCES = 5_000
PASSED = 3  # evaluations since the best one that tell of overfitting


def few_sentences(n: int, model: ModelConfig) -> str | None:
    """A warning about a small text of n sentences, or None.

    It names the recipe `few` to a model without dropout.

    Of 2,000 sentences of data/everyday a default model learns to write 40 % of its sentences
    grammatically, of 500 sentences hardly any; of 20,000 it learns 95 % and more.
    """
    if n >= FEW_SENTENCES:
        return None
    said = (
        f"the text has only {counted(n, 'sentence')} for training; expect many ungrammatical "
        f"sentences and weak vectors. {FEW_SENTENCES:,} sentences or more are better"
    )
    if _has_dropout(model):
        return said
    return f"{said}; {option('recipe', 'few')} is made for few sentences"


def overfitting(state: TrainingState, model: ModelConfig) -> str | None:
    """A warning if the best model is from long before the end of the training, or None."""
    if state.since_best < PASSED or not state.best_step:
        return None
    fewer = worded(f"--max-steps {state.best_step}", f"max_steps={state.best_step}")
    dropout = "" if _has_dropout(model) else f", or dropout as in {option('recipe', 'few')},"
    return (
        f"the model overfits: validation was best at step {state.best_step:,} of {state.step:,}, "
        f"and the model of that step is kept. More text is the best remedy; {fewer}{dropout} may "
        "help"
    )


def _has_dropout(model: ModelConfig) -> bool:
    return model.embedding_dropout > 0 or model.output_dropout > 0
