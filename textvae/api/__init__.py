"""The Python API: `TextVAE`, the one object that people hold, and all that a command does."""

from textvae.api.model import LAYERS, Embeddings, TextVAE
from textvae.api.training import plan, train

__all__ = ["LAYERS", "Embeddings", "TextVAE", "plan", "train"]
