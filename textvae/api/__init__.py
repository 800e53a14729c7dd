"""The Python API: `TextVAE`, the one object that people hold, and all that a command does."""

from textvae.api.model import EXPERIMENT_FILE, LAYERS, Embeddings, TextVAE
from textvae.api.training import plan, train

__all__ = ["EXPERIMENT_FILE", "LAYERS", "Embeddings", "TextVAE", "plan", "train"]
