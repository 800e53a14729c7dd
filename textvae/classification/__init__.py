"""Linear classifiers on sentence vectors: fit, test, save."""
