"""Sentence vectors for scikit-learn, and for tools that accept sentence-transformers models."""

from textvae.embedding.estimator import SentenceEmbedder
from textvae.embedding.interop import sentence_transformer

__all__ = ["SentenceEmbedder", "sentence_transformer"]
