"""Sentence vectors inside scikit-learn, and inside what takes models of sentence-transformers."""

from textvae.embedding.estimator import SentenceEmbedder
from textvae.embedding.interop import sentence_transformer

__all__ = ["SentenceEmbedder", "sentence_transformer"]
